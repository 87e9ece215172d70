//! The stream of one seat's messages.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Rooms, queue::Letter};

/// Reads a seat. Ends when the room does, or when the same seat is read anew elsewhere.
pub struct Inbox {
    pub(super) rooms: Arc<Rooms>,
    pub(super) room: String,
    pub(super) seat: String,
    pub(super) bell: watch::Receiver<()>,
    pub(super) read: u64,
}

impl Inbox {
    /// The next message, as soon as there is one.
    pub async fn next(&mut self) -> Option<Letter> {
        loop {
            if let Some(letter) = self.waiting() {
                return Some(letter);
            }
            self.bell.changed().await.ok()?;
        }
    }

    /// The next message, if it is there already.
    pub fn waiting(&mut self) -> Option<Letter> {
        let letter = self.rooms.hand_out(&self.room, &self.seat, self.read)?;
        self.read = letter.number;
        Some(letter)
    }
}

impl Drop for Inbox {
    /// A room is in use for as long as somebody reads.
    fn drop(&mut self) {
        self.rooms.touch(&self.room, &self.seat);
    }
}
