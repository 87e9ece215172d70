//! Links between phones: how long a message is on its way.

use std::collections::BTreeMap;

use crate::profile::MemberId;

/// One-way ms of a small message between two phones, and bytes per ms where they were measured; symmetric.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HopMatrix {
    ms: BTreeMap<(MemberId, MemberId), f64>,
    bytes_per_ms: BTreeMap<(MemberId, MemberId), f64>,
}

impl HopMatrix {
    /// Records a measured pair; the order of the two does not matter.
    pub fn set(&mut self, a: MemberId, b: MemberId, ms: f64) {
        self.ms.insert(pair(a, b), ms);
    }

    /// Records the measured throughput of a pair. Without it a link is as fast for a long message as for a short one.
    pub fn set_rate(&mut self, a: MemberId, b: MemberId, bytes_per_ms: f64) {
        self.bytes_per_ms.insert(pair(a, b), bytes_per_ms);
    }

    /// ms of a small message from `a` to `b`. A pair that was not measured is relayed by the host. `None` if one of them does not reach the host.
    pub fn ms(&self, a: MemberId, b: MemberId) -> Option<f64> {
        self.along(a, b, |a, b| self.direct_ms(a, b))
    }

    /// ms for which `bytes` occupy the way from `a` to `b`, besides [`Self::ms`].
    pub fn transfer_ms(&self, a: MemberId, b: MemberId, bytes: u64) -> Option<f64> {
        self.along(a, b, |a, b| {
            self.direct_ms(a, b)?;
            let rate = self.bytes_per_ms.get(&pair(a, b));
            Some(rate.map_or(0.0, |rate| bytes as f64 / rate))
        })
    }

    /// Whether the throughput of every link from `a` to `b` was measured.
    pub fn has_rate(&self, a: MemberId, b: MemberId) -> bool {
        let measured = |a, b| self.bytes_per_ms.contains_key(&pair(a, b)).then_some(1.0);
        self.along(a, b, |a, b| {
            self.direct_ms(a, b)?;
            Some(measured(a, b).unwrap_or(f64::NAN))
        })
        .is_some_and(f64::is_finite)
    }

    /// Sum over the links from `a` to `b`: the direct one, or through the host.
    fn along(
        &self,
        a: MemberId,
        b: MemberId,
        link: impl Fn(MemberId, MemberId) -> Option<f64>,
    ) -> Option<f64> {
        if a == b {
            return Some(0.0);
        }
        link(a, b).or_else(|| Some(link(a, MemberId::HOST)? + link(MemberId::HOST, b)?))
    }

    fn direct_ms(&self, a: MemberId, b: MemberId) -> Option<f64> {
        self.ms.get(&pair(a, b)).copied()
    }

    /// ms of every measured pair.
    pub(crate) fn measured(&self) -> impl Iterator<Item = f64> + '_ {
        self.ms.values().copied()
    }

    /// Bytes per ms of every measured pair.
    pub(crate) fn rates(&self) -> impl Iterator<Item = f64> + '_ {
        self.bytes_per_ms.values().copied()
    }
}

fn pair(a: MemberId, b: MemberId) -> (MemberId, MemberId) {
    (a.min(b), a.max(b))
}
