//! What happens to packets on their way.

use std::collections::BTreeMap;

use clap::Args;
use serde::Deserialize;

/// Of one way between two places. A packet waits for the link to be free, then for the delay and a random part of the jitter, so that with
/// jitter packets overtake each other.
#[derive(Debug, Clone, Copy, PartialEq, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conditions {
    /// Of every packet, ms.
    #[arg(long, default_value_t = 5.0)]
    pub delay_ms: f64,
    /// At most so much more, ms.
    #[arg(long, default_value_t = 0.0)]
    pub jitter_ms: f64,
    /// Of what a place sends, Mbit/s.
    #[arg(long, default_value_t = 50.0)]
    pub rate_mbit: f64,
    /// Packets that do not arrive, percent.
    #[arg(long, default_value_t = 0.0)]
    pub loss_percent: f64,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            delay_ms: 5.0,
            jitter_ms: 0.0,
            rate_mbit: 50.0,
            loss_percent: 0.0,
        }
    }
}

/// A place: 0 is the server, phones count from 1.
pub type Place = u8;

/// The conditions of every way.
#[derive(Debug, Default)]
pub struct Ways {
    usual: Conditions,
    special: BTreeMap<(Place, Place), Conditions>,
}

/// What a script asks for: conditions of the ways it names; no `from` or `to` is every one.
#[derive(Debug, Deserialize)]
pub struct Change {
    from: Option<Place>,
    to: Option<Place>,
    #[serde(flatten)]
    conditions: Conditions,
}

impl Ways {
    /// All alike.
    pub fn new(usual: Conditions) -> Self {
        Self {
            usual,
            special: BTreeMap::new(),
        }
    }

    /// From one place to another.
    pub fn between(&self, from: Place, to: Place) -> Conditions {
        self.special.get(&(from, to)).copied().unwrap_or(self.usual)
    }

    /// From now on.
    pub fn change(&mut self, change: &Change, places: u8) {
        for from in (0..places).filter(|place| change.from.is_none_or(|from| from == *place)) {
            for to in (0..places).filter(|place| change.to.is_none_or(|to| to == *place)) {
                self.special.insert((from, to), change.conditions);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_of_the_ways_it_names() {
        let mut ways = Ways::new(Conditions::default());
        let change: Change =
            serde_json::from_str(r#"{"from": 1, "loss_percent": 100, "delay_ms": 1}"#).unwrap();
        ways.change(&change, 3);
        assert_eq!(ways.between(1, 0).loss_percent, 100.0);
        assert_eq!(ways.between(1, 2).delay_ms, 1.0);
        assert_eq!(ways.between(2, 1), Conditions::default());
    }
}
