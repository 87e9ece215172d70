//! Verified chunks: from local storage where they are, else from the phones of the room, else from the network; then into local storage.

use std::rc::Rc;

use model::manifest::{Chunk, Manifest};
use session::{
    Fault,
    weights::{Arrived, Patience, Wanted},
};

use super::{download, room::Room, shelf::Shelf};
use crate::{clock::sleep, error::BrowserError};

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
    /// fetched from `url`. Without an address the room is asked until nothing has come for a while.
    ///
    /// # Errors
    /// Network, a chunk damaged twice, nobody has a chunk, the file was changed, whatever `take` says.
    pub async fn bring(
        &self,
        url: Option<&str>,
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
        if !missing.is_empty() && self.shelf.is_file() {
            let detail = "it is not what it was when it was chosen".to_owned();
            return Err(BrowserError::FileUnreadable { detail }.into());
        }
        let mut troubles = Troubles::default();
        let mut patience = Patience::default();
        loop {
            let wanted = missing.len();
            missing = self.ask_room(missing, &mut troubles, take).await?;
            if missing.is_empty() {
                return Ok(troubles);
            }
            if let Some(url) = url {
                let missing = missing.into_iter().map(|(_, chunk)| chunk);
                self.fetch(url, missing.collect(), take).await?;
                return Ok(troubles);
            }
            match patience.again(missing.len() < wanted) {
                Some(wait_ms) => sleep(wait_ms as f64).await,
                None => return Err(BrowserError::NotInRoom.into()),
            }
        }
    }

    /// The list of chunks that has this name, from the room.
    ///
    /// # Errors
    /// Nobody gives it.
    pub async fn manifest(&self, id: &str) -> Result<Manifest, Fault> {
        let mut patience = Patience::default();
        loop {
            let wanted = Wanted::Manifest { id: id.to_owned() };
            let mut found = None;
            let mut take = async |arrived| {
                if let Arrived::Manifest(manifest) = arrived {
                    found = Some(manifest);
                }
                Ok(())
            };
            self.room.bring(wanted, &mut take).await?;
            if let Some(manifest) = found {
                return Ok(manifest);
            }
            match patience.again(false) {
                Some(wait_ms) => sleep(wait_ms as f64).await,
                None => return Err(BrowserError::NotInRoom.into()),
            }
        }
    }

    /// Returns what nobody gave.
    async fn ask_room(
        &self,
        missing: Vec<(u32, Chunk)>,
        troubles: &mut Troubles,
        take: &mut impl AsyncFnMut(&Chunk, &[u8], Source) -> Result<(), Fault>,
    ) -> Result<Vec<(u32, Chunk)>, Fault> {
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
        troubles.failed_sources += asked.failed_sources();
        let missing = asked.missing();
        Ok(missing
            .map(|(place, chunk)| (place, chunk.clone()))
            .collect())
    }

    async fn fetch(
        &self,
        url: &str,
        missing: Vec<Chunk>,
        take: &mut impl AsyncFnMut(&Chunk, &[u8], Source) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        for run in download::requests(missing) {
            download::fetch(url, run, &mut async |chunk: &Chunk, bytes: &[u8]| {
                self.shelf.keep(chunk, bytes).await;
                take(chunk, bytes, Source::Network).await
            })
            .await?;
        }
        Ok(())
    }
}
