//! Connections, bounded. Whoever has asked nothing yet waits, and the longest waiting makes place for the next who comes: a flood of
//! half-open and slow connections only drives itself out, while a phone's request is answered long before its turn to go.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::visitors::household;

/// All connections.
pub struct Crowd {
    state: Mutex<State>,
    most: usize,
    most_per_address: usize,
}

#[derive(Default)]
struct State {
    /// Ascending: what happened later has a higher number.
    last: u64,
    connections: HashMap<u64, Connection>,
    /// Connection by the time it began to wait.
    waiting: BTreeMap<u64, u64>,
    by_address: HashMap<IpAddr, usize>,
    driven_out: u64,
}

struct Connection {
    household: IpAddr,
    /// Dropped to drive it out.
    _stay: oneshot::Sender<()>,
    /// Since when it waits; `None` while it is answered.
    waits_since: Option<u64>,
}

impl Crowd {
    /// Nobody yet.
    pub fn new(most: usize, most_per_address: usize) -> Self {
        Self {
            state: Mutex::default(),
            most,
            most_per_address,
        }
    }

    /// A place, with what tells when to leave it; `None` where everybody is being answered.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<(Place, oneshot::Receiver<()>)> {
        let household = household(address);
        let mut state = self.lock();
        if state
            .by_address
            .get(&household)
            .is_some_and(|there| *there >= self.most_per_address)
        {
            state.drive_out(|connection| connection.household == household)?;
        }
        if state.connections.len() >= self.most {
            state.drive_out(|_| true)?;
        }
        let (stay, leave) = oneshot::channel();
        let number = state.next();
        state.waiting.insert(number, number);
        *state.by_address.entry(household).or_default() += 1;
        let connection = Connection {
            household,
            _stay: stay,
            waits_since: Some(number),
        };
        state.connections.insert(number, connection);
        drop(state);
        let crowd = Arc::clone(self);
        Some((Place { crowd, number }, leave))
    }

    /// Connections now, and connections driven out so far.
    pub fn count(&self) -> (usize, u64) {
        let state = self.lock();
        (state.connections.len(), state.driven_out)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The longest waiting of those that are meant.
    fn drive_out(&mut self, meant: impl Fn(&Connection) -> bool) -> Option<()> {
        let waiting = self.waiting.values().copied();
        let number = waiting
            .into_iter()
            .find(|number| self.connections.get(number).is_some_and(&meant))?;
        self.remove(number);
        self.driven_out += 1;
        Some(())
    }

    fn remove(&mut self, number: u64) {
        let Some(connection) = self.connections.remove(&number) else {
            return;
        };
        if let Some(since) = connection.waits_since {
            self.waiting.remove(&since);
        }
        if let Some(there) = self.by_address.get_mut(&connection.household) {
            *there -= 1;
            if *there == 0 {
                self.by_address.remove(&connection.household);
            }
        }
    }
}

/// A connection's right to be there.
pub struct Place {
    crowd: Arc<Crowd>,
    number: u64,
}

impl Place {
    /// A whole request has come: the connection stays until the value is dropped.
    pub fn answering(self: &Arc<Self>) -> Answering {
        let mut state = self.crowd.lock();
        if let Some(connection) = state.connections.get_mut(&self.number)
            && let Some(since) = connection.waits_since.take()
        {
            state.waiting.remove(&since);
        }
        Answering(Arc::clone(self))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.lock().remove(self.number);
    }
}

/// An answer under way.
pub struct Answering(Arc<Place>);

impl Drop for Answering {
    fn drop(&mut self) {
        let number = self.0.number;
        let mut state = self.0.crowd.lock();
        let since = state.next();
        if let Some(connection) = state.connections.get_mut(&number) {
            connection.waits_since = Some(since);
            state.waiting.insert(since, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn admitted(crowd: &Arc<Crowd>, address: IpAddr) -> (Arc<Place>, oneshot::Receiver<()>) {
        let (place, leave) = crowd.admit(address).unwrap();
        (Arc::new(place), leave)
    }

    fn must_leave(leave: &mut oneshot::Receiver<()>) -> bool {
        leave.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn the_longest_waiting_makes_place() {
        let crowd = Arc::new(Crowd::new(2, 2));
        let (first, mut leave_first) = admitted(&crowd, A);
        let (_second, mut leave_second) = admitted(&crowd, B);
        // An answer makes the first one the last to have come.
        drop(first.answering());
        let _third = admitted(&crowd, A);
        assert!(must_leave(&mut leave_second) && !must_leave(&mut leave_first));
        assert_eq!(crowd.count(), (2, 1));
    }

    #[test]
    fn whoever_is_answered_stays() {
        let crowd = Arc::new(Crowd::new(2, 2));
        let (first, mut leave_first) = admitted(&crowd, A);
        let (second, mut leave_second) = admitted(&crowd, B);
        let _answers = (first.answering(), second.answering());
        assert!(crowd.admit(A).is_none());
        assert!(!must_leave(&mut leave_first) && !must_leave(&mut leave_second));
    }

    #[test]
    fn an_address_drives_out_its_own_first() {
        let crowd = Arc::new(Crowd::new(8, 2));
        let (_other, mut leave_other) = admitted(&crowd, B);
        let (_first, mut leave_first) = admitted(&crowd, A);
        let _second = admitted(&crowd, A);
        let _third = admitted(&crowd, A);
        assert!(must_leave(&mut leave_first) && !must_leave(&mut leave_other));
        assert_eq!(crowd.count().0, 3);
    }

    #[test]
    fn a_place_that_is_left_is_free() {
        let crowd = Arc::new(Crowd::new(1, 1));
        for _ in 0..3 {
            let (place, leave) = admitted(&crowd, A);
            let answer = place.answering();
            drop((place, leave));
            drop(answer);
        }
        assert_eq!(crowd.count(), (0, 0));
        assert!(crowd.lock().by_address.is_empty() && crowd.lock().waiting.is_empty());
    }
}
