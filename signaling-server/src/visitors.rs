//! Who comes, and how much one address may have. Addresses are kept in memory for as long as they matter, and never logged.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{clock::Clock, limits::Limits, rate::Rate, refusal::Refusal};

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visitor {
    /// The other end of the connection, or whom the proxy names.
    pub address: IpAddr,
    /// Whether the browser speaks https.
    pub https: bool,
}

/// One home has one IPv4 address, or one IPv6 network of 64 bits.
pub fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
        address => address,
    }
}

/// All addresses that have something now or had lately.
pub struct Visitors {
    known: Mutex<HashMap<IpAddr, Share>>,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

struct Share {
    asked: Rate,
    streams: usize,
}

impl Visitors {
    /// Nobody yet.
    pub fn new(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self {
            known: Mutex::default(),
            clock,
            limits,
        }
    }

    /// Counts a request for a room or a seat.
    ///
    /// # Errors
    /// `rate.exceeded`, `server.busy`.
    pub fn ask(&self, address: IpAddr) -> Result<(), Refusal> {
        let (mut known, now) = self.current();
        let share = self.share(&mut known, address, now)?;
        if share.asked.take(self.limits.messages_per_s, now) {
            Ok(())
        } else {
            Err(Refusal::TooOften {
                per_s: self.limits.messages_per_s,
            })
        }
    }

    /// Counts a stream until the value is dropped.
    ///
    /// # Errors
    /// `stream.too_many`, `server.busy`.
    pub fn stream(self: &Arc<Self>, address: IpAddr) -> Result<Streaming, Refusal> {
        let (mut known, now) = self.current();
        let share = self.share(&mut known, address, now)?;
        if share.streams >= self.limits.streams_per_address {
            return Err(Refusal::TooManyStreams {
                most: self.limits.streams_per_address,
            });
        }
        share.streams += 1;
        drop(known);
        Ok(Streaming {
            visitors: Arc::clone(self),
            household: household(address),
        })
    }

    /// Streams at this moment.
    pub fn streams(&self) -> usize {
        self.lock().values().map(|share| share.streams).sum()
    }

    fn share<'a>(
        &self,
        known: &'a mut HashMap<IpAddr, Share>,
        address: IpAddr,
        now: Duration,
    ) -> Result<&'a mut Share, Refusal> {
        let household = household(address);
        let per_s = self.limits.messages_per_s;
        if known.len() >= self.limits.addresses && !known.contains_key(&household) {
            known.retain(|_, share| share.streams > 0 || !share.asked.is_full(per_s, now));
            if known.len() >= self.limits.addresses {
                return Err(Refusal::Busy);
            }
        }
        Ok(known.entry(household).or_insert_with(|| Share {
            asked: Rate::new(per_s, now),
            streams: 0,
        }))
    }

    fn current(&self) -> (MutexGuard<'_, HashMap<IpAddr, Share>>, Duration) {
        (self.lock(), self.clock.now())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Share>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stream of an address.
pub struct Streaming {
    visitors: Arc<Visitors>,
    household: IpAddr,
}

impl Drop for Streaming {
    fn drop(&mut self) {
        if let Some(share) = self.visitors.lock().get_mut(&self.household) {
            share.streams -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn visitors(limits: Limits) -> Arc<Visitors> {
        Arc::new(Visitors::new(limits, Arc::new(SystemClock::start())))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_household_is_an_address_or_a_network() {
        for (address_, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            assert_eq!(household(address(address_)), address(expected));
        }
    }

    #[test]
    fn streams_are_counted_by_household() {
        let visitors = visitors(Limits::default());
        let mut streams: Vec<_> = (0..20)
            .map(|host| {
                visitors
                    .stream(address(&format!("2001:db8::{host}")))
                    .unwrap()
            })
            .collect();
        let more = |from: &str| visitors.stream(address(from)).map(drop);
        assert_eq!(
            more("2001:db8::99"),
            Err(Refusal::TooManyStreams { most: 20 })
        );
        assert_eq!(more("2001:db8:0:1::1"), Ok(()));
        streams.pop();
        assert_eq!(more("2001:db8::99"), Ok(()));
        assert_eq!(visitors.streams(), 19);
    }

    #[test]
    fn addresses_that_have_nothing_are_forgotten_and_others_never() {
        let visitors = visitors(Limits {
            addresses: 2,
            ..Limits::default()
        });
        let _stays = visitors.stream(address("192.0.2.1")).unwrap();
        visitors.stream(address("192.0.2.2")).map(drop).unwrap();
        let _takes_its_place = visitors.stream(address("192.0.2.3")).unwrap();
        assert_eq!(visitors.ask(address("192.0.2.4")), Err(Refusal::Busy));
        assert_eq!(visitors.ask(address("192.0.2.1")), Ok(()));
    }
}
