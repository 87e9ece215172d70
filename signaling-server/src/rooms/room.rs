//! One room: who sits where and what waits for them.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use tokio::sync::watch;

use super::{
    queue::{Letter, Queue},
    secret::Key,
};
use crate::{limits::Limits, rate::Rate, refusal::Refusal};

/// Seat of the page that started the room.
pub const HOST_SEAT: &str = "host";

/// Seats and the time of the last sign of life.
pub struct Room {
    seats: BTreeMap<String, Seat>,
    guests: u64,
    made_at: Duration,
    /// Last sign of life.
    pub used_at: Duration,
    /// Address that started it.
    pub owner: IpAddr,
}

struct Seat {
    key: Key,
    queue: Queue,
    /// Rings for every letter. A second reader replaces it, which ends the first one's stream.
    bell: watch::Sender<()>,
    sent: Rate,
    used_at: Duration,
}

impl Seat {
    fn new(now: Duration, limits: &Limits, key: Key) -> Self {
        Self {
            key,
            queue: Queue::default(),
            bell: watch::Sender::new(()),
            sent: Rate::new(limits.messages_per_s, now),
            used_at: now,
        }
    }

    fn is_listening(&self) -> bool {
        self.bell.receiver_count() > 0
    }
}

impl Room {
    /// A room with its host's seat.
    pub fn new(now: Duration, limits: &Limits, owner: IpAddr, key: Key) -> Self {
        Self {
            seats: BTreeMap::from([(HOST_SEAT.to_owned(), Seat::new(now, limits, key))]),
            guests: 0,
            made_at: now,
            used_at: now,
            owner,
        }
    }

    /// Too old, or nobody listens and nothing happened for `limits.idle`.
    pub fn is_expired(&self, now: Duration, limits: &Limits) -> bool {
        let idle = !self.is_listened_to() && now.saturating_sub(self.used_at) >= limits.idle;
        idle || now.saturating_sub(self.made_at) >= limits.lifetime
    }

    /// Somebody waits for messages.
    pub fn is_listened_to(&self) -> bool {
        self.seats.values().any(Seat::is_listening)
    }

    /// Not expired, but nobody would miss it.
    pub fn is_left(&self, now: Duration, limits: &Limits) -> bool {
        !self.is_listened_to() && now.saturating_sub(self.used_at) >= limits.seat_idle
    }

    /// A seat for one more guest: its name and key.
    pub fn seat_guest(
        &mut self,
        now: Duration,
        limits: &Limits,
    ) -> Result<(String, String), Refusal> {
        if self.seats.len() >= limits.seats {
            self.clear_left_seats(now, limits);
        }
        if self.seats.len() >= limits.seats {
            return Err(Refusal::RoomFull {
                seats: limits.seats,
            });
        }
        let key = Key::new()?;
        let revealed = key.reveal().to_owned();
        let seat = Seat::new(now, limits, key);
        self.guests += 1;
        let name = format!("g{}", self.guests);
        self.seats.insert(name.clone(), seat);
        self.used_at = now;
        Ok((name, revealed))
    }

    /// Guests listen for the host's answer only, and every reload takes a new seat: those left long ago are free.
    fn clear_left_seats(&mut self, now: Duration, limits: &Limits) {
        self.seats.retain(|name, seat| {
            let left = !seat.is_listening() && now.saturating_sub(seat.used_at) >= limits.seat_idle;
            name == HOST_SEAT || !left
        });
    }

    /// Puts a message into another seat's queue.
    pub fn send(
        &mut self,
        now: Duration,
        limits: &Limits,
        (from, key): (&str, &str),
        to: &str,
        body: String,
    ) -> Result<(), Refusal> {
        let sender = self.owned(from, key)?;
        sender.used_at = now;
        if !sender.sent.take(limits.messages_per_s, now) {
            return Err(Refusal::TooOften {
                per_s: limits.messages_per_s,
            });
        }
        if body.len() > limits.message_bytes {
            return Err(Refusal::MessageTooLarge {
                most_bytes: limits.message_bytes,
            });
        }
        if !self.seats.contains_key(to) {
            return Err(Refusal::SeatUnknown);
        }
        self.make_place(body.len(), limits)?;
        let receiver = self.seats.get_mut(to).ok_or(Refusal::SeatUnknown)?;
        if !receiver.queue.push(from, body, limits.queued_messages) {
            return Err(Refusal::InboxFull);
        }
        receiver.bell.send_replace(());
        self.used_at = now;
        Ok(())
    }

    fn make_place(&mut self, bytes: usize, limits: &Limits) -> Result<(), Refusal> {
        if self.queued_bytes() + bytes > limits.queued_bytes {
            for seat in self.seats.values_mut() {
                seat.queue.forget_handed_out();
            }
        }
        if self.queued_bytes() + bytes > limits.queued_bytes {
            return Err(Refusal::InboxFull);
        }
        Ok(())
    }

    fn queued_bytes(&self) -> usize {
        self.seats.values().map(|seat| seat.queue.bytes()).sum()
    }

    /// The bell of a seat for its one reader, who has everything up to `read`.
    pub fn listen(
        &mut self,
        now: Duration,
        (name, key): (&str, &str),
        read: u64,
    ) -> Result<watch::Receiver<()>, Refusal> {
        let seat = self.owned(name, key)?;
        seat.queue.acknowledge(read);
        seat.bell = watch::Sender::new(());
        let bell = seat.bell.subscribe();
        self.touch(name, now);
        Ok(bell)
    }

    /// The next letter of a seat after `number`.
    pub fn hand_out(&mut self, name: &str, number: u64) -> Option<Letter> {
        self.seats.get_mut(name)?.queue.hand_out_after(number)
    }

    /// The seat was in use until now.
    pub fn touch(&mut self, name: &str, now: Duration) {
        self.used_at = now;
        if let Some(seat) = self.seats.get_mut(name) {
            seat.used_at = now;
        }
    }

    fn owned(&mut self, name: &str, key: &str) -> Result<&mut Seat, Refusal> {
        let seat = self.seats.get_mut(name);
        seat.filter(|seat| seat.key.is(key))
            .ok_or(Refusal::SeatDenied)
    }
}
