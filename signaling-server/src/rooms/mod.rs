//! Rooms in memory, all of them bounded.

mod inbox;
mod queue;
mod room;
mod secret;

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::{sync::watch, time::timeout};

use crate::{clock::Clock, limits::Limits, refusal::Refusal};
pub use inbox::Inbox;
pub use queue::Letter;
pub use room::HOST_SEAT;
use room::Room;
use secret::Key;

/// Names of expired rooms that are remembered, so that an old link is answered truthfully.
const REMEMBERED: usize = 1024;

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
    /// Rings for every room that is opened.
    opened: watch::Sender<()>,
    started: Duration,
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
            opened: watch::Sender::new(()),
            started: clock.now(),
            clock,
            limits,
        }
    }

    /// What it gives away at most.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A room of `owner` and its host's seat: a new one, or the one that `key` belongs to. A name follows from its key, so the host
    /// alone can open a room again that this server has forgotten, under the same link.
    ///
    /// # Errors
    /// `server.full`, `server.no_randomness`, `request.malformed`.
    pub fn open(&self, owner: IpAddr, key: Option<&str>) -> Result<Ticket, Refusal> {
        let key = key.map_or_else(Key::new, Key::of)?;
        let (mut state, now) = self.current();
        let ticket = Ticket {
            room: key.room_name(),
            seat: HOST_SEAT.to_owned(),
            key: key.reveal().to_owned(),
        };
        if !state.open.contains_key(&ticket.room) {
            state.make_place(now, &self.limits, owner)?;
            state.expired.retain(|name| *name != ticket.room);
            let room = Room::new(now, &self.limits, owner, key);
            state.open.insert(ticket.room.clone(), room);
            self.opened.send_replace(());
        }
        Ok(ticket)
    }

    /// Rooms at this moment.
    pub fn count(&self) -> usize {
        self.lock().open.len()
    }

    /// A guest's seat, soon: after a restart the guest may come before the host has opened the room again.
    ///
    /// # Errors
    /// As [`Self::take_seat`].
    pub async fn seat_soon(&self, room: &str) -> Result<Ticket, Refusal> {
        let mut opened = self.opened.subscribe();
        loop {
            let seat = self.take_seat(room);
            let age = self.clock.now().saturating_sub(self.started);
            let left = self.limits.homecoming.saturating_sub(age);
            let hopeless = left.is_zero() || !matches!(seat, Err(Refusal::RoomUnknown));
            if hopeless || timeout(left, opened.changed()).await.is_err() {
                return seat;
            }
        }
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

    /// A full server, or an owner who has many rooms, gives up the room that was left longest ago.
    fn make_place(&mut self, now: Duration, limits: &Limits, owner: IpAddr) -> Result<(), Refusal> {
        let owned = self
            .open
            .values()
            .filter(|room| room.owner == owner)
            .count();
        if owned >= limits.rooms_per_address {
            self.give_up(|room| room.owner == owner)?;
        }
        if self.open.len() >= limits.rooms {
            self.give_up(|room| room.is_left(now, limits))?;
        }
        Ok(())
    }

    fn give_up(&mut self, meant: impl Fn(&Room) -> bool) -> Result<(), Refusal> {
        let rooms = self
            .open
            .iter()
            .filter(|(_, room)| !room.is_listened_to() && meant(room));
        let oldest = rooms.min_by_key(|(_, room)| room.used_at);
        let name = oldest
            .map(|(name, _)| name.clone())
            .ok_or(Refusal::ServerFull)?;
        self.open.remove(&name);
        self.remember(name);
        Ok(())
    }

    fn remember(&mut self, expired: String) {
        if self.expired.len() >= REMEMBERED {
            self.expired.pop_front();
        }
        self.expired.push_back(expired);
    }

    fn expire(&mut self, now: Duration, limits: &Limits) {
        let expired = self.open.extract_if(|_, room| room.is_expired(now, limits));
        let expired: Vec<_> = expired.map(|(name, _)| name).collect();
        expired.into_iter().for_each(|name| self.remember(name));
    }
}
