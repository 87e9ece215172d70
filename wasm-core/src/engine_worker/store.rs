//! Folders in the origin private file system.
//!
//! Whoever reads a file checks it, so one that was cut short by a closing tab is as good as absent.

use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    File, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions,
    FileSystemGetFileOptions, FileSystemReadWriteOptions, FileSystemSyncAccessHandle,
    StorageManager,
};

use crate::{
    error::{BrowserError, words},
    threads::scope,
};

/// Folders from the root to a folder.
type Way = [&'static str; 2];

/// To the chunks: one file each, named by its hash.
const CHUNKS: Way = ["lingualinked", "chunks"];
/// To the names of kernels.
const KERNELS: Way = ["lingualinked", "kernels"];

/// Folders from the root of the origin private file system to the chunks, for pages that show and clear what is kept.
#[wasm_bindgen(js_name = chunkFolders)]
pub fn chunk_folders() -> Vec<String> {
    CHUNKS.map(str::to_owned).to_vec()
}

/// One of the folders.
pub struct Store {
    folder: FileSystemDirectoryHandle,
}

impl Store {
    /// Of chunks.
    ///
    /// # Errors
    /// Browsers without it, private modes, blocked storage.
    pub async fn chunks() -> Result<Self, BrowserError> {
        Self::open(CHUNKS).await
    }

    /// Of names of kernels.
    ///
    /// # Errors
    /// As [`Self::chunks`].
    pub async fn kernels() -> Result<Self, BrowserError> {
        Self::open(KERNELS).await
    }

    /// Opens or creates a folder.
    async fn open(way: Way) -> Result<Self, BrowserError> {
        let missing = |detail: &str| BrowserError::NoStorage {
            detail: detail.to_owned(),
        };
        let storage = js_sys::Reflect::get(&scope().navigator(), &"storage".into())
            .unwrap_or(JsValue::UNDEFINED);
        if storage.is_undefined() {
            return Err(missing("it has no storage"));
        }
        let storage: StorageManager = storage.unchecked_into();
        let options = FileSystemGetDirectoryOptions::new();
        options.set_create(true);
        let open = async {
            let mut folder: FileSystemDirectoryHandle = JsFuture::from(storage.get_directory())
                .await?
                .unchecked_into();
            for name in way {
                folder = JsFuture::from(folder.get_directory_handle_with_options(name, &options))
                    .await?
                    .unchecked_into();
            }
            Ok(Self { folder })
        };
        open.await
            .map_err(|thrown: JsValue| missing(&words(&thrown)))
    }

    /// Whether anything is stored under a name.
    pub async fn has(&self, name: &str) -> bool {
        JsFuture::from(self.folder.get_file_handle(name))
            .await
            .is_ok()
    }

    /// The bytes stored under a name, if any.
    pub async fn read(&self, name: &str) -> Option<Vec<u8>> {
        let file: FileSystemFileHandle = JsFuture::from(self.folder.get_file_handle(name))
            .await
            .ok()?
            .unchecked_into();
        match Handle::open(&file).await {
            Ok(handle) => handle.read_all().ok(),
            // Another tab of this browser has it open.
            Err(_) => {
                let file: File = JsFuture::from(file.get_file()).await.ok()?.unchecked_into();
                let buffer = JsFuture::from(file.array_buffer()).await.ok()?;
                Some(js_sys::Uint8Array::new(&buffer).to_vec())
            }
        }
    }

    /// Stores bytes under a name.
    ///
    /// # Errors
    /// The browser's quota, or another tab that writes the same file.
    pub async fn write(&self, name: &str, bytes: &[u8]) -> Result<(), BrowserError> {
        let options = FileSystemGetFileOptions::new();
        options.set_create(true);
        let write = async {
            let file: FileSystemFileHandle =
                JsFuture::from(self.folder.get_file_handle_with_options(name, &options))
                    .await?
                    .unchecked_into();
            Handle::open(&file).await?.write_all(bytes)
        };
        write
            .await
            .map_err(|thrown: JsValue| BrowserError::NoStorage {
                detail: words(&thrown),
            })
    }

    /// Removes what is stored under a name, if anything.
    pub async fn remove(&self, name: &str) {
        // Absent is what was asked for; a file in use by another tab stays and is verified again next time.
        let _ = JsFuture::from(self.folder.remove_entry(name)).await;
    }
}

/// An exclusive synchronous handle; dropping it closes it.
struct Handle(FileSystemSyncAccessHandle);

impl Handle {
    async fn open(file: &FileSystemFileHandle) -> Result<Self, JsValue> {
        Ok(Self(
            JsFuture::from(file.create_sync_access_handle())
                .await?
                .unchecked_into(),
        ))
    }

    fn read_all(&self) -> Result<Vec<u8>, JsValue> {
        // A chunk is at most one long row; sizes are those we wrote.
        let mut bytes = vec![0; self.0.get_size()? as usize];
        let count = self
            .0
            .read_with_u8_array_and_options(&mut bytes, &start())?;
        bytes.truncate(count as usize);
        Ok(bytes)
    }

    fn write_all(&self, bytes: &[u8]) -> Result<(), JsValue> {
        self.0.truncate_with_f64(0.0)?;
        let count = self.0.write_with_u8_array_and_options(bytes, &start())?;
        if count as usize != bytes.len() {
            return Err(JsValue::from_str("the file could only be written in part"));
        }
        self.0.flush()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn start() -> FileSystemReadWriteOptions {
    let options = FileSystemReadWriteOptions::new();
    options.set_at(0.0);
    options
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::Store;

    #[wasm_bindgen_test]
    async fn what_was_written_is_read_until_it_is_removed() {
        let store = Store::chunks().await.unwrap();
        let bytes: Vec<u8> = (0..100_000_u32).map(|i| i as u8).collect();
        store.remove("round-trip").await;
        assert_eq!(store.read("round-trip").await, None);
        store.write("round-trip", &[1, 2, 3, 4]).await.unwrap();
        store.write("round-trip", &bytes).await.unwrap();
        assert_eq!(store.read("round-trip").await, Some(bytes));
        store.write("round-trip", &[5]).await.unwrap();
        assert_eq!(
            store.read("round-trip").await,
            Some(vec![5]),
            "nothing of a longer file is left"
        );
        store.remove("round-trip").await;
        assert_eq!(
            Store::chunks().await.unwrap().read("round-trip").await,
            None
        );
    }

    #[wasm_bindgen_test]
    async fn a_file_that_is_open_elsewhere_is_read_all_the_same() {
        let store = Store::chunks().await.unwrap();
        store.write("shared", &[7, 8]).await.unwrap();
        let file = wasm_bindgen_futures::JsFuture::from(store.folder.get_file_handle("shared"))
            .await
            .unwrap();
        let elsewhere = super::Handle::open(&wasm_bindgen::JsCast::unchecked_into(file))
            .await
            .unwrap();
        assert_eq!(store.read("shared").await, Some(vec![7, 8]));
        assert_eq!(
            store.write("shared", &[9]).await.unwrap_err().code(),
            "browser.no_storage"
        );
        drop(elsewhere);
        store.remove("shared").await;
    }
}
