//! Rooms: seats with keys, and a queue of messages for each. First contact only; what is in a message is nobody's business here.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;
use tokio::sync::Notify;

use crate::error::ServerError;

/// Seats of a room, the host's among them.
const MAX_SEATS: usize = 32;
/// Rooms at a time.
const MAX_ROOMS: usize = 10_000;
/// Messages that wait for a seat.
const MAX_WAITING: usize = 64;
/// Bytes of a message.
pub const MAX_MESSAGE_BYTES: usize = 64 << 10;
/// The seat of the page that started the room.
const HOST_SEAT: &str = "host";

/// A seat, given to one page.
#[derive(Debug, Clone, Serialize)]
pub struct Seat {
    /// Room id.
    pub room: String,
    /// `host`, `g1`, `g2`, ...
    pub seat: String,
    /// Whoever has it may read and write for the seat.
    pub key: String,
}

/// A message as it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Sender's seat.
    pub from: String,
    /// As it was sent.
    pub body: String,
}

/// All rooms. Time is an argument: since the server started.
pub struct Rooms {
    rooms: BTreeMap<String, Room>,
    idle: Duration,
}

struct Room {
    seats: BTreeMap<String, Inbox>,
    guests: u32,
    used_at: Duration,
}

struct Inbox {
    key: String,
    waiting: VecDeque<Message>,
    arrived: Arc<Notify>,
}

impl Rooms {
    /// Rooms end after being idle for so long.
    pub const fn new(idle: Duration) -> Self {
        Self {
            rooms: BTreeMap::new(),
            idle,
        }
    }

    /// Starts a room.
    ///
    /// # Errors
    /// Too many rooms.
    pub fn create(&mut self, now: Duration) -> Result<Seat, ServerError> {
        let idle = self.idle;
        self.rooms
            .retain(|_, room| now.saturating_sub(room.used_at) < idle);
        if self.rooms.len() >= MAX_ROOMS {
            return Err(ServerError::TooManyRooms);
        }
        let id = random_hex::<8>()?;
        let room = Room {
            seats: BTreeMap::new(),
            guests: 0,
            used_at: now,
        };
        let room = self.rooms.entry(id.clone()).or_insert(room);
        room.sit(id, HOST_SEAT.to_owned())
    }

    /// Takes the next seat.
    ///
    /// # Errors
    /// Unknown, expired or full room.
    pub fn take_seat(&mut self, now: Duration, room: &str) -> Result<Seat, ServerError> {
        let id = room.to_owned();
        let room = self.room(now, room)?;
        if room.seats.len() >= MAX_SEATS {
            return Err(ServerError::RoomFull);
        }
        room.guests += 1;
        let name = format!("g{}", room.guests);
        room.sit(id, name)
    }

    /// Queues a message for another seat.
    ///
    /// # Errors
    /// Unknown room, wrong key, absent or overfull receiver, too long.
    pub fn send(
        &mut self,
        now: Duration,
        room: &str,
        (seat, key): (&str, &str),
        to: &str,
        body: String,
    ) -> Result<(), ServerError> {
        if body.len() > MAX_MESSAGE_BYTES {
            return Err(ServerError::MessageTooLarge);
        }
        let room = self.room(now, room)?;
        room.inbox(seat, key)?;
        let receiver = room.seats.get_mut(to).ok_or(ServerError::SeatDenied)?;
        if receiver.waiting.len() >= MAX_WAITING {
            return Err(ServerError::InboxFull);
        }
        receiver.waiting.push_back(Message {
            from: seat.to_owned(),
            body,
        });
        receiver.arrived.notify_one();
        Ok(())
    }

    /// The next message of a seat, or what tells that one arrived.
    ///
    /// # Errors
    /// Unknown room, wrong key.
    pub fn next(
        &mut self,
        now: Duration,
        room: &str,
        seat: &str,
        key: &str,
    ) -> Result<Result<Message, Arc<Notify>>, ServerError> {
        let inbox = self.room(now, room)?.inbox(seat, key)?;
        let message = inbox.waiting.pop_front();
        Ok(message.ok_or_else(|| Arc::clone(&inbox.arrived)))
    }

    fn room(&mut self, now: Duration, id: &str) -> Result<&mut Room, ServerError> {
        let idle = self.idle;
        let room = self.rooms.get_mut(id).ok_or(ServerError::UnknownRoom)?;
        if now.saturating_sub(room.used_at) >= idle {
            return Err(ServerError::UnknownRoom);
        }
        room.used_at = now;
        Ok(room)
    }
}

impl Room {
    fn sit(&mut self, room: String, seat: String) -> Result<Seat, ServerError> {
        let key = random_hex::<16>()?;
        let inbox = Inbox {
            key: key.clone(),
            waiting: VecDeque::new(),
            arrived: Arc::default(),
        };
        self.seats.insert(seat.clone(), inbox);
        Ok(Seat { room, seat, key })
    }

    fn inbox(&mut self, seat: &str, key: &str) -> Result<&mut Inbox, ServerError> {
        let inbox = self.seats.get_mut(seat);
        inbox
            .filter(|inbox| inbox.key == key)
            .ok_or(ServerError::SeatDenied)
    }
}

fn random_hex<const BYTES: usize>() -> Result<String, ServerError> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|_| ServerError::TooManyRooms)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    fn rooms() -> Rooms {
        Rooms::new(Duration::from_secs(60))
    }

    #[test]
    fn messages_reach_their_seat_in_order_and_no_other() {
        let mut rooms = rooms();
        let host = rooms.create(NOW).unwrap();
        let guest = rooms.take_seat(NOW, &host.room).unwrap();
        assert_eq!((host.seat.as_str(), guest.seat.as_str()), ("host", "g1"));
        for body in ["one", "two"] {
            let from = (guest.seat.as_str(), guest.key.as_str());
            rooms
                .send(NOW, &host.room, from, "host", body.to_owned())
                .unwrap();
        }
        for body in ["one", "two"] {
            let message = rooms
                .next(NOW, &host.room, "host", &host.key)
                .unwrap()
                .unwrap();
            assert_eq!((message.from.as_str(), message.body.as_str()), ("g1", body));
        }
        assert!(
            rooms
                .next(NOW, &host.room, "host", &host.key)
                .unwrap()
                .is_err()
        );
        assert!(
            rooms
                .next(NOW, &host.room, "g1", &guest.key)
                .unwrap()
                .is_err()
        );
    }

    #[test]
    fn whoever_has_no_key_or_no_room_is_refused() {
        let mut rooms = rooms();
        let host = rooms.create(NOW).unwrap();
        let code = |error: ServerError| error.code();
        assert_eq!(
            code(rooms.take_seat(NOW, "nowhere").unwrap_err()),
            "room.unknown"
        );
        assert_eq!(
            code(rooms.next(NOW, &host.room, "host", "guess").unwrap_err()),
            "seat.denied"
        );
        let send = |rooms: &mut Rooms, key: &str, body: String| {
            rooms
                .send(NOW, &host.room, ("host", key), "host", body)
                .map_err(code)
        };
        assert_eq!(send(&mut rooms, "guess", String::new()), Err("seat.denied"));
        let long = "x".repeat(MAX_MESSAGE_BYTES + 1);
        assert_eq!(send(&mut rooms, &host.key, long), Err("message.too_large"));
        for _ in 0..MAX_WAITING {
            send(&mut rooms, &host.key, "x".to_owned()).unwrap();
        }
        assert_eq!(
            send(&mut rooms, &host.key, "x".to_owned()),
            Err("message.inbox_full")
        );
    }

    #[test]
    fn rooms_fill_up_and_end() {
        let mut rooms = rooms();
        let host = rooms.create(NOW).unwrap();
        for _ in 1..MAX_SEATS {
            rooms.take_seat(NOW, &host.room).unwrap();
        }
        assert_eq!(
            rooms.take_seat(NOW, &host.room).unwrap_err().code(),
            "room.full"
        );
        let later = Duration::from_secs(61);
        assert_eq!(
            rooms.take_seat(later, &host.room).unwrap_err().code(),
            "room.unknown"
        );
    }
}
