//! Which kernels were the fastest here the last time: comparing them takes a phone seconds.

use model::manifest::Hash;

use super::store::Store;

/// Of one adapter and model.
pub struct Remembered {
    /// Where the browser keeps files.
    store: Option<Store>,
    file: String,
}

impl Remembered {
    /// Looks where they would be.
    pub async fn open(adapter: &str, model: &str) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let key = format!("{version} {adapter} {model}");
        Self {
            store: Store::kernels().await.ok(),
            file: Hash::of(key.as_bytes()).to_string(),
        }
    }

    /// Their name, which may be one that nobody knows any more.
    pub async fn read(&self) -> Option<String> {
        let bytes = self.store.as_ref()?.read(&self.file).await?;
        String::from_utf8(bytes).ok()
    }

    /// Keeps their name for the next time, if that is possible.
    pub async fn write(&self, kernels: &str) {
        if let Some(store) = &self.store {
            // Without it they are compared again.
            let _ = store.write(&self.file, kernels.as_bytes()).await;
        }
    }
}
