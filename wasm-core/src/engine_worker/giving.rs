//! Gives one other phone what it wishes for and this one has: one piece after the other, and no more than the browser takes over at once.

use std::{collections::BTreeSet, rc::Rc};

use futures::{StreamExt, channel::mpsc};
use proto::weights::{Item, MAX_PIECE_BYTES, Run, Weights};

use super::shelf::Shelf;
use crate::channel::link::{Link, LinkDown};

/// Answers wishes, in order, until nobody wishes any more.
pub async fn give(link: Rc<Link>, mut wishes: mpsc::Receiver<Weights>, shelf: Rc<Shelf>) {
    while let Some(wish) = wishes.next().await {
        let given = match wish {
            Weights::Seek { asking, chunks } => {
                let chunks = held(&shelf, &chunks).await;
                send(&link, &Weights::Held { asking, chunks }).await
            }
            Weights::Want { asking, item } => match bytes_of(&shelf, item).await {
                Some(bytes) => pieces(&link, asking, item, &bytes).await,
                None => send(&link, &Weights::Absent { asking, item }).await,
            },
            Weights::Held { .. } | Weights::Piece { .. } | Weights::Absent { .. } => Ok(()),
        };
        if given.is_err() {
            return;
        }
    }
}

/// Those of the chunks that are here.
async fn held(shelf: &Shelf, sought: &[Run]) -> Vec<Run> {
    let Some(manifest) = shelf.manifest() else {
        return Vec::new();
    };
    let mut places = BTreeSet::new();
    for (place, chunk) in (0..).zip(&manifest.chunks) {
        if sought.iter().any(|run| run.contains(place)) && shelf.has(chunk).await {
            places.insert(place);
        }
    }
    Run::of(places)
}

async fn bytes_of(shelf: &Shelf, item: Item) -> Option<Vec<u8>> {
    let manifest = shelf.manifest()?;
    match item {
        Item::Manifest => serde_json::to_vec(&*manifest).ok(),
        Item::Chunk(place) => {
            let chunk = manifest.chunks.get(usize::try_from(place).ok()?)?;
            shelf.read(chunk).await
        }
    }
}

async fn pieces(link: &Link, asking: u32, item: Item, bytes: &[u8]) -> Result<(), LinkDown> {
    let count = bytes.chunks(MAX_PIECE_BYTES).count();
    for (nth, piece) in (1..).zip(bytes.chunks(MAX_PIECE_BYTES)) {
        let piece = Weights::Piece {
            asking,
            item,
            last: nth == count,
            bytes: piece.to_vec(),
        };
        send(link, &piece).await?;
    }
    Ok(())
}

async fn send(link: &Link, message: &Weights) -> Result<(), LinkDown> {
    link.send(message.encode().map_err(|_| LinkDown)?)?;
    link.flushed().await
}
