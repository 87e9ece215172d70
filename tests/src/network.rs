//! Delays of a simulated network: seeded, in order within a channel.

use std::collections::BTreeMap;

use plan::MemberId;
use session::Channel;

/// One way at least, ms.
const HOP_MS: u64 = 3;

/// What is known of every channel's last delivery.
pub struct Network {
    random: u64,
    jitter_ms: u64,
    /// What each link takes at least.
    links_ms: BTreeMap<(MemberId, MemberId), u64>,
    last: BTreeMap<(MemberId, MemberId, bool), u64>,
}

impl Network {
    /// A link takes 3 ms and up to `jitter_ms` more, always the same; each of its messages up to `jitter_ms` more again.
    pub fn new(seed: u64, jitter_ms: u64) -> Self {
        Self {
            random: seed,
            jitter_ms,
            links_ms: BTreeMap::new(),
            last: BTreeMap::new(),
        }
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
        let last = self
            .last
            .entry((from, to, channel == Channel::Control))
            .or_default();
        *last = (*last).max(now_ms + link + jitter);
        *last
    }

    fn draw_ms(&mut self) -> u64 {
        self.next() % (self.jitter_ms + 1)
    }

    /// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
