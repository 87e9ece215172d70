//! What this phone has of the room's model: chunks in local storage. For itself and for the others.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use model::manifest::{Chunk, Manifest};

use super::store::ChunkStore;
use crate::error::BrowserError;

/// Local storage, where the browser has it, and the list of the room's chunks.
pub struct Shelf {
    store: RefCell<Option<Rc<ChunkStore>>>,
    /// What a person should know once.
    notice: Cell<Option<BrowserError>>,
    manifest: RefCell<Option<Rc<Manifest>>>,
}

impl Shelf {
    /// With local storage where the browser has it.
    pub async fn open() -> Self {
        let (store, notice) = match ChunkStore::open().await {
            Ok(store) => (Some(Rc::new(store)), None),
            Err(error) => (None, Some(error)),
        };
        Self {
            store: RefCell::new(store),
            notice: Cell::new(notice),
            manifest: RefCell::new(None),
        }
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

    /// Whether a chunk is here, as far as one can tell without reading it.
    pub async fn has(&self, chunk: &Chunk) -> bool {
        match self.store() {
            Some(store) => store.has(&name(chunk)).await,
            None => false,
        }
    }

    /// A chunk that still is what it was.
    pub async fn read(&self, chunk: &Chunk) -> Option<Vec<u8>> {
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
        let Some(store) = self.store() else { return };
        if let Err(error) = store.write(&name(chunk), bytes).await {
            self.notice.set(Some(error));
            self.store.borrow_mut().take();
        }
    }

    fn store(&self) -> Option<Rc<ChunkStore>> {
        self.store.borrow().clone()
    }
}

/// File name of a chunk.
fn name(chunk: &Chunk) -> String {
    chunk.sha256.to_string()
}
