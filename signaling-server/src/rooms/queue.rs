//! Messages that wait for one seat.

use std::collections::VecDeque;

/// A message as it waits.
#[derive(Clone)]
pub struct Letter {
    /// Ascending from 1 within a seat; a reader that reconnects names the last one it has.
    pub number: u64,
    /// Seat of the sender.
    pub from: String,
    /// Opaque.
    pub body: String,
}

/// Letters stay until the reader says it has them, or until the room needs their place after they were handed out.
#[derive(Default)]
pub struct Queue {
    letters: VecDeque<Letter>,
    last: u64,
    handed_out: u64,
}

impl Queue {
    /// Appends; `false` where `most` letters wait and none was handed out.
    pub fn push(&mut self, from: &str, body: String, most: usize) -> bool {
        if self.letters.len() >= most {
            self.forget_handed_out();
        }
        if self.letters.len() >= most {
            return false;
        }
        self.last += 1;
        self.letters.push_back(Letter {
            number: self.last,
            from: from.to_owned(),
            body,
        });
        true
    }

    /// The reader has everything up to `number`.
    pub fn acknowledge(&mut self, number: u64) {
        self.letters.retain(|letter| letter.number > number);
    }

    /// First letter after `number`. Being handed out is not being read: the connection may break.
    pub fn hand_out_after(&mut self, number: u64) -> Option<Letter> {
        let letter = self.letters.iter().find(|letter| letter.number > number)?;
        self.handed_out = self.handed_out.max(letter.number);
        Some(letter.clone())
    }

    /// Makes room at the cost of readers whose connection breaks just now.
    pub fn forget_handed_out(&mut self) {
        self.acknowledge(self.handed_out);
    }

    /// Bytes of all bodies.
    pub fn bytes(&self) -> usize {
        self.letters.iter().map(|letter| letter.body.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(queue: &mut Queue, mut after: u64) -> Vec<String> {
        let mut bodies = Vec::new();
        while let Some(letter) = queue.hand_out_after(after) {
            after = letter.number;
            bodies.push(letter.body);
        }
        bodies
    }

    #[test]
    fn letters_stay_until_acknowledged() {
        let mut queue = Queue::default();
        for body in ["a", "b", "c"] {
            assert!(queue.push("g1", body.to_owned(), 8));
        }
        assert_eq!(bodies(&mut queue, 0), ["a", "b", "c"]);
        assert_eq!(bodies(&mut queue, 0), ["a", "b", "c"]);
        queue.acknowledge(2);
        assert_eq!(bodies(&mut queue, 2), ["c"]);
        assert_eq!(queue.bytes(), 1);
    }

    #[test]
    fn a_full_queue_gives_up_what_was_handed_out_and_nothing_else() {
        let mut queue = Queue::default();
        assert!(queue.push("g1", "a".to_owned(), 2));
        assert!(queue.push("g1", "b".to_owned(), 2));
        assert!(!queue.push("g1", "c".to_owned(), 2));
        queue.hand_out_after(0);
        assert!(queue.push("g1", "c".to_owned(), 2));
        assert_eq!(bodies(&mut queue, 0), ["b", "c"]);
    }
}
