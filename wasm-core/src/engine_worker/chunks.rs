//! Verified chunks: from local storage where they are, else from the phones of the room, else from the network; then into local storage.

use std::rc::Rc;

use model::manifest::{Chunk, Manifest};
use session::{
    Fault,
    weights::{Arrived, Wanted},
};

use super::{download, room::Room, shelf::Shelf};

/// Where chunks come from.
#[derive(Clone)]
pub struct Chunks {
    shelf: Rc<Shelf>,
    room: Room,
}

/// How a chunk came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It was kept from an earlier visit.
    Storage,
    /// Another phone of the room gave it.
    Room,
    /// It was fetched.
    Network,
}

/// What went wrong on the way without keeping chunks from coming.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Troubles {
    /// Phones that were asked and did not give what they said they have.
    pub failed_sources: u32,
}

impl Chunks {
    /// From these places.
    pub const fn new(shelf: Rc<Shelf>, room: Room) -> Self {
        Self { shelf, room }
    }

    /// Hands each of the `wanted` chunks (indices, ascending) to `take`: first those stored here, then those the room has, then those
    /// fetched from `url`.
    ///
    /// # Errors
    /// Network, a chunk damaged twice, whatever `take` says.
    pub async fn bring(
        &self,
        url: &str,
        manifest: &Manifest,
        wanted: &[usize],
        take: &mut impl AsyncFnMut(&Chunk, &[u8], Source) -> Result<(), Fault>,
    ) -> Result<Troubles, Fault> {
        let mut missing = Vec::new();
        for place in wanted {
            let Some(chunk) = manifest.chunks.get(*place) else {
                continue;
            };
            match self.shelf.read(chunk).await {
                Some(bytes) => take(chunk, &bytes, Source::Storage).await?,
                None => missing.extend(u32::try_from(*place).map(|place| (place, chunk.clone()))),
            }
        }
        let asked = self
            .room
            .bring(Wanted::Chunks(missing), &mut async |arrived| {
                let Arrived::Chunk(chunk, bytes) = arrived else {
                    return Ok(());
                };
                self.shelf.keep(&chunk, &bytes).await;
                take(&chunk, &bytes, Source::Room).await
            })
            .await?;
        for run in download::requests(asked.missing().cloned().collect()) {
            download::fetch(url, run, &mut async |chunk: &Chunk, bytes: &[u8]| {
                self.shelf.keep(chunk, bytes).await;
                take(chunk, bytes, Source::Network).await
            })
            .await?;
        }
        Ok(Troubles {
            failed_sources: asked.failed_sources(),
        })
    }
}
