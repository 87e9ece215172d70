//! So many a second, and no more at once.

use std::time::Duration;

/// A token bucket that holds what one second gives.
#[derive(Debug, Clone)]
pub struct Rate {
    left: f64,
    at: Duration,
}

impl Rate {
    /// Nothing was taken yet.
    pub fn new(per_s: u32, now: Duration) -> Self {
        Self {
            left: f64::from(per_s),
            at: now,
        }
    }

    /// Takes one, if there is one.
    pub fn take(&mut self, per_s: u32, now: Duration) -> bool {
        self.refill(per_s, now);
        let there = self.left >= 1.0;
        if there {
            self.left -= 1.0;
        }
        there
    }

    /// Whether nothing was taken for so long that it is as good as new.
    pub fn is_full(&mut self, per_s: u32, now: Duration) -> bool {
        self.refill(per_s, now);
        self.left >= f64::from(per_s)
    }

    fn refill(&mut self, per_s: u32, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.left = passed
            .mul_add(f64::from(per_s), self.left)
            .min(f64::from(per_s));
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_gives_as_much_as_it_says_and_saves_nothing() {
        let at = Duration::from_millis;
        let mut rate = Rate::new(20, at(0));
        let taken = |rate: &mut Rate, now| (0..100).filter(|_| rate.take(20, now)).count();
        assert_eq!(taken(&mut rate, at(0)), 20);
        assert_eq!(taken(&mut rate, at(500)), 10);
        assert_eq!(taken(&mut rate, at(60_000)), 20);
        assert!(!rate.is_full(20, at(60_900)));
        assert!(rate.is_full(20, at(61_000)));
    }
}
