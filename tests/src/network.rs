//! A simulated network: seeded delays, in order within a channel; loss costs time, as it does on a reliable channel.

use std::collections::BTreeMap;

use plan::MemberId;
use session::Channel;

use crate::random::Random;

/// One way at least, ms.
const HOP_MS: u64 = 3;
/// Until a lost packet is sent again, ms (SCTP's smallest retransmission timeout is a second; browsers' fast retransmit is quicker).
const RESEND_MS: u64 = 200;

/// Delays of every link.
pub struct Network {
    random: Random,
    jitter_ms: u64,
    /// Of a hundred packets, how many are lost once.
    pub loss_percent: u64,
    /// Added to every way.
    pub delay_ms: u64,
    /// What each link takes at least.
    links_ms: BTreeMap<(MemberId, MemberId), u64>,
    last: BTreeMap<(MemberId, MemberId, bool), u64>,
    /// Ways on which nothing arrives before this time.
    blocked_until_ms: BTreeMap<(MemberId, MemberId), u64>,
}

impl Network {
    /// A link takes 3 ms and up to `jitter_ms` more, always the same; each of its messages up to `jitter_ms` more again.
    pub fn new(seed: u64, jitter_ms: u64) -> Self {
        Self {
            random: Random(seed),
            jitter_ms,
            loss_percent: 0,
            delay_ms: 0,
            links_ms: BTreeMap::new(),
            last: BTreeMap::new(),
            blocked_until_ms: BTreeMap::new(),
        }
    }

    /// Nothing arrives from `from` at `to` before `until_ms`.
    pub fn block(&mut self, from: MemberId, to: MemberId, until_ms: u64) {
        self.blocked_until_ms.insert((from, to), until_ms);
    }

    /// Nothing more arrives on a channel before `until_ms`.
    pub fn hold(&mut self, until_ms: u64, from: MemberId, to: MemberId, channel: Channel) {
        let last = self
            .last
            .entry((from, to, channel == Channel::Control))
            .or_default();
        *last = (*last).max(until_ms);
    }

    /// When a message that is sent now arrives: never before an earlier one of its channel.
    pub fn arrival_ms(
        &mut self,
        now_ms: u64,
        from: MemberId,
        to: MemberId,
        channel: Channel,
    ) -> u64 {
        let (link, jitter) = (self.draw_ms(), self.draw_ms());
        let link = *self
            .links_ms
            .entry((from.min(to), from.max(to)))
            .or_insert(HOP_MS + link);
        let lost = self.loss_percent > 0 && self.random.below(100) < self.loss_percent;
        let resend = if lost { RESEND_MS } else { 0 };
        let blocked = self.blocked_until_ms.get(&(from, to)).copied().unwrap_or(0);
        let last = self
            .last
            .entry((from, to, channel == Channel::Control))
            .or_default();
        *last = (*last).max(now_ms.max(blocked) + link + jitter + resend + self.delay_ms);
        *last
    }

    fn draw_ms(&mut self) -> u64 {
        self.random.below(self.jitter_ms + 1)
    }
}
