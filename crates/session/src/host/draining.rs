//! Draining: units move away from a phone whose page is hidden, before its browser stops it, and from one that is low on battery.
//!
//! After a while behind others the page counts as one that may be gone soon, and the planner spares it. The balancer sees that between
//! two tokens; where none is written, this asks it. Nothing can be done for the page that started the room: the others are told.

use plan::{MemberId, Power};

use super::Host;
use super::member::Member;

/// A page hidden for less is back soon, ms. iOS lets one run for a few seconds, Android for longer.
const PATIENCE_MS: u64 = 2_000;
/// Between two attempts to drain a phone that is needed, or while nothing may move, ms.
const AGAIN_MS: u64 = 10_000;

impl Member {
    /// Its page has been hidden for so long that it may be stopped.
    pub fn may_be_stopped(&self, now_ms: u64) -> bool {
        let stopped_from = |since_ms| since_ms + PATIENCE_MS;
        self.hidden_since_ms
            .is_some_and(|since_ms| now_ms >= stopped_from(since_ms))
    }
}

impl Host {
    /// A page went behind others, or is in front again.
    pub(super) fn on_hidden(&mut self, member: MemberId, hidden: bool) {
        let now_ms = self.now_ms;
        let Some(member) = self.members.get_mut(&member) else {
            return;
        };
        if member.hidden_since_ms.is_some() == hidden {
            return;
        }
        member.hidden_since_ms = hidden.then_some(now_ms);
        self.drain_again_ms = now_ms;
        self.changed = true;
    }

    /// A battery fell, rose, or is charged.
    pub(super) fn on_power(&mut self, member: MemberId, power: Power) {
        let now_ms = self.now_ms;
        let Some(member) = self.members.get_mut(&member) else {
            return;
        };
        let was_low = member.power.is_low();
        member.power = power;
        if power.is_low() != was_low {
            self.drain_again_ms = now_ms;
            self.changed = true;
        }
    }

    /// When a phone of the ring counts as one that may be gone soon.
    pub(super) fn drain_due_ms(&self) -> Option<u64> {
        let placed = self.placed.as_ref();
        let ring = placed.filter(|placed| placed.loading.is_empty() && self.moving.is_none());
        let ring = &ring?.ring;
        let peers = self.members.iter().filter(|(id, _)| **id != MemberId::HOST);
        let used = peers.filter(|(id, _)| ring.contains(**id));
        let from_ms = |member: &Member| match member.power.is_low() {
            true => Some(0),
            false => member
                .hidden_since_ms
                .map(|since_ms| since_ms + PATIENCE_MS),
        };
        let from_ms = used.filter_map(|(_, member)| from_ms(member)).min()?;
        Some(from_ms.max(self.drain_again_ms))
    }

    pub(super) fn drain(&mut self) {
        if self.is_due(self.drain_due_ms()) {
            self.drain_again_ms = self.now_ms + AGAIN_MS;
            self.balance();
        }
    }
}
