//! Verified chunks, from local storage where they are, else from the server and into local storage.

use model::manifest::{Chunk, Manifest};
use session::Fault;

use super::{download, store::ChunkStore};
use crate::error::BrowserError;

/// Where chunks come from.
pub struct Chunks {
    store: Option<ChunkStore>,
    /// What a person should know once.
    notice: Option<BrowserError>,
}

/// How a chunk came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It was kept from an earlier visit.
    Storage,
    /// It was fetched.
    Network,
}

impl Chunks {
    /// With local storage where the browser has it.
    pub async fn open() -> Self {
        match ChunkStore::open().await {
            Ok(store) => Self {
                store: Some(store),
                notice: None,
            },
            Err(error) => Self {
                store: None,
                notice: Some(error),
            },
        }
    }

    /// Something a person should know, told once: no local storage.
    pub fn take_notice(&mut self) -> Option<BrowserError> {
        self.notice.take()
    }

    /// Hands each of the `wanted` chunks (indices, ascending) to `take`: first those stored here, then those fetched from `url`.
    ///
    /// # Errors
    /// Network, a chunk damaged twice, whatever `take` says.
    pub async fn bring(
        &mut self,
        url: &str,
        manifest: &Manifest,
        wanted: &[usize],
        take: &mut impl AsyncFnMut(&Chunk, &[u8], Source) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut missing = Vec::new();
        for chunk in wanted
            .iter()
            .filter_map(|index| manifest.chunks.get(*index))
        {
            match self.stored(chunk).await {
                Some(bytes) => take(chunk, &bytes, Source::Storage).await?,
                None => missing.push(chunk.clone()),
            }
        }
        for run in download::requests(missing) {
            download::fetch(url, run, &mut async |chunk: &Chunk, bytes: &[u8]| {
                self.keep(chunk, bytes).await;
                take(chunk, bytes, Source::Network).await
            })
            .await?;
        }
        Ok(())
    }

    /// A stored chunk that still is what it was.
    async fn stored(&self, chunk: &Chunk) -> Option<Vec<u8>> {
        let store = self.store.as_ref()?;
        let bytes = store.read(&name(chunk)).await?;
        if chunk.verify(&bytes).is_ok() {
            return Some(bytes);
        }
        store.remove(&name(chunk)).await;
        None
    }

    async fn keep(&mut self, chunk: &Chunk, bytes: &[u8]) {
        let Some(store) = &self.store else { return };
        if let Err(error) = store.write(&name(chunk), bytes).await {
            self.notice = Some(error);
            self.store = None;
        }
    }
}

/// File name of a chunk.
fn name(chunk: &Chunk) -> String {
    chunk.sha256.to_string()
}
