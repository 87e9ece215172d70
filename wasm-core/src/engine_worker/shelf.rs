//! What this phone has of the room's model: chunks in local storage, or the file itself. For itself and for the others.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use model::manifest::{Chunk, Hash, Manifest};
use web_sys::Blob;

use super::{blob, store::Store};
use crate::error::BrowserError;

/// Local storage, where the browser has it, and the list of the room's chunks.
pub struct Shelf {
    store: RefCell<Option<Rc<Store>>>,
    /// What a person should know once.
    notice: Cell<Option<BrowserError>>,
    manifest: RefCell<Option<Rc<Manifest>>>,
    file: RefCell<Option<Blob>>,
}

impl Shelf {
    /// With local storage where the browser has it.
    pub async fn open() -> Self {
        let (store, notice) = match Store::chunks().await {
            Ok(store) => (Some(Rc::new(store)), None),
            Err(error) => (None, Some(error)),
        };
        Self {
            store: RefCell::new(store),
            notice: Cell::new(notice),
            manifest: RefCell::new(None),
            file: RefCell::new(None),
        }
    }

    /// The same, with a way of its own to local storage: what is full for one is not for the other.
    pub async fn beside(&self) -> Self {
        let beside = Self::open().await;
        *beside.file.borrow_mut() = self.file.borrow().clone();
        beside
    }

    /// Something a person should know, told once: no local storage.
    pub fn take_notice(&self) -> Option<BrowserError> {
        self.notice.take()
    }

    /// The room's chunks are these.
    pub fn set_manifest(&self, manifest: &Rc<Manifest>) {
        *self.manifest.borrow_mut() = Some(Rc::clone(manifest));
    }

    /// The room's chunks, once known.
    pub fn manifest(&self) -> Option<Rc<Manifest>> {
        self.manifest.borrow().clone()
    }

    /// The room's model is this file of the device.
    pub fn set_file(&self, file: Blob) {
        *self.file.borrow_mut() = Some(file);
    }

    /// Whether it is.
    pub fn is_file(&self) -> bool {
        self.file.borrow().is_some()
    }

    /// The list of chunks that was made of the file at an address, if it was kept; of the `expected` file, if one was.
    pub async fn list_of(&self, address: &str, expected: Option<Hash>) -> Option<Manifest> {
        let bytes = self.store()?.read(&list_name(address, expected)).await?;
        let manifest: Manifest = serde_json::from_slice(&bytes).ok()?;
        manifest.check().ok().map(|()| manifest)
    }

    /// Keeps that list for the next time.
    pub async fn keep_list(&self, address: &str, expected: Option<Hash>, manifest: &Manifest) {
        if let Ok(bytes) = serde_json::to_vec(manifest) {
            self.write(&list_name(address, expected), &bytes).await;
        }
    }

    /// Whether a chunk is here, as far as one can tell without reading it.
    pub async fn has(&self, chunk: &Chunk) -> bool {
        if self.is_file() {
            return true;
        }
        match self.store() {
            Some(store) => store.has(&name(chunk)).await,
            None => false,
        }
    }

    /// A chunk that still is what it was.
    pub async fn read(&self, chunk: &Chunk) -> Option<Vec<u8>> {
        let file = self.file.borrow().clone();
        if let Some(file) = file {
            let bytes = blob::read(&file, chunk.offset..chunk.end()).await.ok()?;
            return chunk.verify(&bytes).ok().map(|()| bytes);
        }
        let store = self.store()?;
        let bytes = store.read(&name(chunk)).await?;
        if chunk.verify(&bytes).is_ok() {
            return Some(bytes);
        }
        store.remove(&name(chunk)).await;
        None
    }

    /// Keeps a chunk; the first one that cannot be kept is the last one tried.
    pub async fn keep(&self, chunk: &Chunk, bytes: &[u8]) {
        self.write(&name(chunk), bytes).await;
    }

    async fn write(&self, name: &str, bytes: &[u8]) {
        let Some(store) = self.store() else { return };
        if let Err(error) = store.write(name, bytes).await {
            self.notice.set(Some(error));
            self.store.borrow_mut().take();
        }
    }

    fn store(&self) -> Option<Rc<Store>> {
        self.store.borrow().clone()
    }
}

/// File name of the list of chunks of the file at an address. A list that was not checked against a hash is never taken for one that was.
fn list_name(address: &str, expected: Option<Hash>) -> String {
    let expected = expected.map(|hash| hash.to_string()).unwrap_or_default();
    let key = format!("{address} {expected}");
    format!("list-{}", Hash::of(key.as_bytes()))
}

/// File name of a chunk.
fn name(chunk: &Chunk) -> String {
    chunk.sha256.to_string()
}
