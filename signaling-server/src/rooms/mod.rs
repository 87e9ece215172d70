//! Rooms in memory, all of them bounded.

mod inbox;
mod queue;
mod room;
mod secret;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;

use crate::{clock::Clock, refusal::Refusal};
pub use inbox::Inbox;
pub use queue::Letter;
pub use room::HOST_SEAT;
use room::Room;

/// Names of expired rooms that are remembered, so that an old link is answered truthfully.
const REMEMBERED: usize = 1024;

/// What the server gives away at most: rooms x bytes waiting in each bounds its memory.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Rooms at a time.
    pub rooms: usize,
    /// Seats of a room, the host's included.
    pub seats: usize,
    /// Bytes of one message.
    pub message_bytes: usize,
    /// Messages that wait for one seat.
    pub queued_messages: usize,
    /// Bytes that wait in one room.
    pub queued_bytes: usize,
    /// A room in which nobody listens and nothing happens for so long expires.
    pub idle: Duration,
    /// A guest's seat that nobody uses for so long is given to another guest when the room is full.
    pub seat_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rooms: 512,
            seats: 32,
            message_bytes: 64 << 10,
            queued_messages: 64,
            queued_bytes: 1 << 20,
            idle: Duration::from_secs(3600),
            seat_idle: Duration::from_secs(120),
        }
    }
}

/// A seat and the right to it. Has no `Debug`, so that the key cannot slip into a log.
#[derive(Serialize)]
pub struct Ticket {
    /// Name of the room.
    pub room: String,
    /// `host`, `g1`, `g2`, ...
    pub seat: String,
    /// Whoever knows it sits there.
    pub key: String,
}

/// All rooms.
pub struct Rooms {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

#[derive(Default)]
struct State {
    open: HashMap<String, Room>,
    expired: VecDeque<String>,
}

impl Rooms {
    /// None yet.
    pub fn new(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self {
            state: Mutex::default(),
            clock,
            limits,
        }
    }

    /// What it gives away at most.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A new room and its host's seat.
    ///
    /// # Errors
    /// `server.full`, `server.no_randomness`.
    pub fn create(&self) -> Result<Ticket, Refusal> {
        let (mut state, now) = self.current();
        if state.open.len() >= self.limits.rooms {
            return Err(Refusal::ServerFull);
        }
        let name = secret::room_name()?;
        let (room, key) = Room::new(now)?;
        state.open.insert(name.clone(), room);
        Ok(Ticket {
            room: name,
            seat: HOST_SEAT.to_owned(),
            key,
        })
    }

    /// A guest's seat.
    ///
    /// # Errors
    /// `room.unknown`, `room.expired`, `room.full`, `server.no_randomness`.
    pub fn take_seat(&self, room: &str) -> Result<Ticket, Refusal> {
        let (mut state, now) = self.current();
        let (seat, key) = state.room(room)?.seat_guest(now, &self.limits)?;
        Ok(Ticket {
            room: room.to_owned(),
            seat,
            key,
        })
    }

    /// A message from one seat, with its key, to another.
    ///
    /// # Errors
    /// `room.*`, `seat.*`, `message.too_large`, `inbox.full`.
    pub fn send(
        &self,
        room: &str,
        sender: (&str, &str),
        to: &str,
        body: String,
    ) -> Result<(), Refusal> {
        let (mut state, now) = self.current();
        state.room(room)?.send(now, &self.limits, sender, to, body)
    }

    /// Messages to a seat, given with its key. `read` is the last one a reconnecting reader has; without it everything is sent again.
    ///
    /// # Errors
    /// `room.*`, `seat.denied`.
    pub fn listen(
        self: &Arc<Self>,
        room: &str,
        owner: (&str, &str),
        read: Option<u64>,
    ) -> Result<Inbox, Refusal> {
        let read = read.unwrap_or(0);
        let (mut state, now) = self.current();
        let bell = state.room(room)?.listen(now, owner, read)?;
        Ok(Inbox {
            rooms: Arc::clone(self),
            room: room.to_owned(),
            seat: owner.0.to_owned(),
            bell,
            read,
        })
    }

    /// Ends every room and with them every stream.
    pub fn close(&self) {
        // Dropped after the lock: a stream that ends touches its room.
        let closed = std::mem::take(&mut self.lock().open);
        drop(closed);
    }

    fn hand_out(&self, room: &str, seat: &str, after: u64) -> Option<Letter> {
        self.lock().open.get_mut(room)?.hand_out(seat, after)
    }

    fn touch(&self, room: &str, seat: &str) {
        let now = self.clock.now();
        if let Some(room) = self.lock().open.get_mut(room) {
            room.touch(seat, now);
        }
    }

    /// The rooms that are open now.
    fn current(&self) -> (MutexGuard<'_, State>, Duration) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.expire(now, &self.limits);
        (state, now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No call leaves a room half changed, so what another thread left is good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn room(&mut self, name: &str) -> Result<&mut Room, Refusal> {
        let expired = self.expired.iter().any(|expired| expired == name);
        let otherwise = if expired {
            Refusal::RoomExpired
        } else {
            Refusal::RoomUnknown
        };
        self.open.get_mut(name).ok_or(otherwise)
    }

    fn expire(&mut self, now: Duration, limits: &Limits) {
        let expired = self.open.extract_if(|_, room| room.is_expired(now, limits));
        self.expired.extend(expired.map(|(name, _)| name));
        let surplus = self.expired.len().saturating_sub(REMEMBERED);
        self.expired.drain(..surplus);
    }
}
