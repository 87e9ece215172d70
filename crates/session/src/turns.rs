//! Who is next at an engine: work of one request in order, the requests in turn. A long prompt keeps the others waiting for one call.

use std::collections::{BTreeMap, VecDeque};

/// Work that waits, by request.
#[derive(Debug)]
pub(crate) struct Turns<T> {
    queues: BTreeMap<u32, Queue<T>>,
    served: u64,
}

#[derive(Debug)]
struct Queue<T> {
    waiting: VecDeque<T>,
    /// When it was last served, counted in turns; 0: never.
    served: u64,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self {
            queues: BTreeMap::new(),
            served: 0,
        }
    }
}

impl<T> Turns<T> {
    /// Behind what waits of the same request.
    pub fn push(&mut self, request: u32, work: T) {
        let queue = self.queues.entry(request).or_insert(Queue {
            waiting: VecDeque::new(),
            served: 0,
        });
        queue.waiting.push_back(work);
    }

    /// The next work of the request that waited longest, among those that may run.
    pub fn next(&mut self, may_run: impl Fn(u32) -> bool) -> Option<T> {
        let waiting = self
            .queues
            .iter_mut()
            .filter(|(request, queue)| !queue.waiting.is_empty() && may_run(**request));
        let (_, queue) = waiting.min_by_key(|(request, queue)| (queue.served, **request))?;
        self.served += 1;
        queue.served = self.served;
        queue.waiting.pop_front()
    }

    /// A request ended.
    pub fn forget(&mut self, request: u32) {
        self.queues.remove(&request);
    }

    /// All that waits.
    pub fn len(&self) -> usize {
        self.queues.values().map(|queue| queue.waiting.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_with_much_to_do_lets_the_others_in_after_every_call() {
        let mut turns = Turns::default();
        for chunk in 0..3 {
            turns.push(1, ("chunk", chunk));
        }
        assert_eq!(turns.next(|_| true), Some(("chunk", 0)));
        turns.push(2, ("token", 0));
        turns.push(3, ("token", 0));
        assert_eq!(turns.next(|_| true), Some(("token", 0)));
        assert_eq!(turns.next(|_| true), Some(("token", 0)));
        assert_eq!(turns.next(|_| true), Some(("chunk", 1)));
        // What comes while a chunk runs is next, though the prompt waited all the time.
        turns.push(2, ("token", 1));
        assert_eq!(turns.next(|_| true), Some(("token", 1)));
        assert_eq!(turns.next(|request| request != 1), None);
        assert_eq!(turns.len(), 1);
        turns.forget(1);
        assert_eq!(turns.next(|_| true), None);
    }
}
