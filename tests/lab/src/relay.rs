//! The relay between all places: every packet is put down for when it arrives, or thrown away.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::conditions::{Change, Place, Ways};

/// What may wait for a link to be free; more is thrown away, as routers do.
const QUEUE: Duration = Duration::from_millis(200);
const FIRST_PHONE: u8 = 11;
const MULTICAST: u8 = 224;

/// The address of a place is 10.77.0.1 for the server, 10.77.0.11 for the first phone.
pub fn host_byte(place: Place) -> u8 {
    match place {
        0 => 1,
        phone => FIRST_PHONE - 1 + phone,
    }
}

/// A packet under way. The earliest comes first; among equals the one that was sent first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Flying {
    arrives: Instant,
    number: u64,
    to: Place,
    bytes: Vec<u8>,
}

struct State {
    ways: Ways,
    flying: BinaryHeap<Reverse<Flying>>,
    /// Until then a place is still sending what it sent before.
    busy_until: Vec<Instant>,
    sent: u64,
    random: u64,
}

/// Shared by the threads that read, the one that delivers, and the one that takes orders.
pub struct Relay {
    state: Mutex<State>,
    changed: Condvar,
}

impl Relay {
    /// Of so many places.
    pub fn new(places: u8, ways: Ways) -> Self {
        let state = State {
            ways,
            flying: BinaryHeap::new(),
            busy_until: vec![Instant::now(); usize::from(places)],
            sent: 0,
            random: 0x9E37_79B9_7F4A_7C15,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Other conditions from now on.
    pub fn change(&self, change: &Change) {
        let mut state = self.state();
        let places = u8::try_from(state.busy_until.len()).unwrap_or(u8::MAX);
        state.ways.change(change, places);
    }

    /// A place sends an IP packet.
    pub fn send(&self, from: Place, bytes: &[u8], now: Instant) {
        let mut state = self.state();
        let places = u8::try_from(state.busy_until.len()).unwrap_or(u8::MAX);
        for to in receivers(bytes, from, places) {
            state.put_down(from, to, bytes, now);
        }
        self.changed.notify_one();
    }

    /// Waits for the next packet that arrives.
    pub fn next(&self) -> (Place, Vec<u8>) {
        let mut state = self.state();
        loop {
            let now = Instant::now();
            let wait = state
                .flying
                .peek()
                .map(|Reverse(next)| next.arrives.saturating_duration_since(now));
            state = match wait {
                Some(Duration::ZERO) => {
                    if let Some(Reverse(next)) = state.flying.pop() {
                        return (next.to, next.bytes);
                    }
                    continue;
                }
                Some(wait) => {
                    let woken = self.changed.wait_timeout(state, wait);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let woken = self.changed.wait(state);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }
}

impl State {
    fn put_down(&mut self, from: Place, to: Place, bytes: &[u8], now: Instant) {
        let way = self.ways.between(from, to);
        if self.chance() * 100.0 < way.loss_percent {
            return;
        }
        let Some(busy_until) = self.busy_until.get_mut(usize::from(from)) else {
            return;
        };
        let free = (*busy_until).max(now);
        if free - now > QUEUE {
            return;
        }
        let sending_ms = bytes.len() as f64 * 8.0 / 1e3 / way.rate_mbit.max(1e-3);
        let sent = free + ms(sending_ms);
        *busy_until = sent;
        let jitter_ms = self.chance() * way.jitter_ms;
        self.sent += 1;
        self.flying.push(Reverse(Flying {
            arrives: sent + ms(way.delay_ms + jitter_ms),
            number: self.sent,
            to,
            bytes: bytes.to_vec(),
        }));
    }

    /// In [0, 1); xorshift (Marsaglia, 2003).
    fn chance(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn ms(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default()
}

/// Whose address an IPv4 packet bears; one to a group is for all others.
fn receivers(bytes: &[u8], from: Place, places: u8) -> Vec<Place> {
    let Some(&[first, _, _, last]) = bytes.get(16..20) else {
        return Vec::new();
    };
    let is_v4 = bytes.first().is_some_and(|byte| byte >> 4 == 4);
    let hears = |place: &Place| first >= MULTICAST || host_byte(*place) == last;
    (0..places)
        .filter(|place| is_v4 && *place != from && hears(place))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::Conditions;

    fn packet(to: [u8; 4], mark: u8) -> Vec<u8> {
        let mut bytes = vec![0; 1000];
        bytes[0] = 0x45;
        bytes[16..20].copy_from_slice(&to);
        bytes[20] = mark;
        bytes
    }

    fn relay(conditions: Conditions) -> Relay {
        Relay::new(3, Ways::new(conditions))
    }

    #[test]
    fn packets_go_where_they_are_addressed_and_take_their_time() {
        let relay = relay(Conditions {
            delay_ms: 20.0,
            rate_mbit: 8.0,
            ..Conditions::default()
        });
        let begun = Instant::now();
        relay.send(1, &packet([10, 77, 0, host_byte(2)], 1), begun);
        relay.send(1, &packet([10, 77, 0, host_byte(0)], 2), begun);
        let (to, bytes) = relay.next();
        assert_eq!((to, bytes[20]), (2, 1));
        let (to, bytes) = relay.next();
        assert_eq!((to, bytes[20]), (0, 2));
        // 1 ms each to be sent.
        assert!(begun.elapsed() >= Duration::from_millis(22));
    }

    #[test]
    fn a_group_is_everybody_else_and_what_is_lost_is_lost() {
        let relay = relay(Conditions {
            delay_ms: 0.0,
            ..Conditions::default()
        });
        let lossy = r#"{"from": 1, "to": 2, "loss_percent": 100}"#;
        let change = serde_json::from_str(lossy).ok();
        relay.send(0, &packet([224, 0, 0, 251], 7), Instant::now());
        let (first, second) = (relay.next().0, relay.next().0);
        assert_eq!((first, second), (1, 2));
        relay.change(&change.unwrap_or_else(|| unreachable!()));
        relay.send(1, &packet([224, 0, 0, 251], 8), Instant::now());
        assert_eq!(relay.next().0, 0);
        assert!(relay.state().flying.is_empty());
    }

    #[test]
    fn a_link_that_is_too_slow_throws_away() {
        let relay = relay(Conditions {
            rate_mbit: 0.1,
            ..Conditions::default()
        });
        let now = Instant::now();
        for mark in 0..20 {
            relay.send(1, &packet([10, 77, 0, 1], mark), now);
        }
        // 80 ms each: 0, 80 and 160 ms are waited for.
        assert_eq!(relay.state().flying.len(), 3);
    }
}
