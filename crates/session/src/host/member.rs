//! What the host knows of one member.

use std::collections::{BTreeMap, BTreeSet};

use plan::{EngineProfile, MemberId, Power};
use proto::{Assembler, Fault, MemberView, Progress};

use crate::error::SessionError;
use crate::pulse::Pulse;
use crate::ring::Ring;

/// Failures after which a member gets nothing any more.
const FAILURES: u32 = 3;
/// After which the one before does not count, ms.
const FORGOTTEN_MS: u64 = 60_000;
/// What engines say when memory is short: the page's, the GPU's.
const OUT_OF_MEMORY: [&str; 2] = ["engine.out_of_memory", "engine.gpu_limit"];
/// Characters of a name that are shown.
const NAME_CHARS: usize = 40;
/// Characters of an adapter's name.
const VARIANT_CHARS: usize = 80;
/// Characters of each part of a fault.
const FAULT_CHARS: usize = 300;

#[derive(Debug, Default)]
pub(crate) struct Member {
    pub name: String,
    pub budget_bytes: u64,
    /// Tells its tab from others, also after it was loaded again.
    pub client: Option<String>,
    /// It said who it is; until then it is not part of the room.
    pub greeted: bool,
    /// `None` until it was measured; empty if nothing runs there.
    pub engines: Option<Vec<EngineProfile>>,
    /// Of the connection; this page has none to itself.
    pub pulse: Option<Pulse>,
    /// Round trips to other peers, ms.
    pub round_trips: BTreeMap<MemberId, f64>,
    pub progress: Progress,
    pub ms_per_token: Option<f64>,
    /// Since when its page is behind others.
    pub hidden_since_ms: Option<u64>,
    pub power: Power,
    /// Its downloads cost.
    pub metered: bool,
    pub assembler: Assembler,
    /// How often its engine failed, and how often its share was halved for it.
    failures: u32,
    failed_ms: u64,
    only_watches: bool,
    halvings: u32,
}

impl Member {
    pub fn host(name: &str, budget_bytes: u64, metered: bool) -> Self {
        Self {
            name: shown(name),
            budget_bytes,
            metered,
            greeted: true,
            ..Self::default()
        }
    }

    pub fn connected(now_ms: u64) -> Self {
        Self {
            pulse: Some(Pulse::new(now_ms)),
            ..Self::default()
        }
    }

    /// A tab that ended once while it loaded gets half its share; after the second time it only watches.
    pub fn greet(&mut self, name: &str, budget_bytes: u64, client: Option<String>, crashes: u32) {
        self.client = client;
        self.halvings = crashes;
        self.only_watches = crashes > 1;
        self.name = shown(name);
        self.budget_bytes = budget_bytes;
        self.greeted = true;
    }

    /// Its engine failed: too little memory halves its share, and one that is stuck is out. What was long ago does not count.
    pub fn strike(&mut self, now_ms: u64, fault: &Fault) {
        if now_ms > self.failed_ms + FORGOTTEN_MS {
            self.failures = 0;
        }
        self.failed_ms = now_ms;
        let stuck = fault.code == SessionError::EngineSilent.code();
        self.failures = if stuck { FAILURES } else { self.failures + 1 };
        if OUT_OF_MEMORY.contains(&fault.code.as_str()) {
            self.halvings += 1;
        }
    }

    /// It failed too often.
    pub fn is_out(&self) -> bool {
        self.only_watches || self.failures >= FAILURES
    }

    /// Bytes a plan may give it.
    pub fn share_bytes(&self) -> u64 {
        match self.is_out() {
            true => 0,
            false => self.budget_bytes.checked_shr(self.halvings).unwrap_or(0),
        }
    }

    pub fn view(&self, member: MemberId, ring: Option<&Ring>) -> MemberView {
        let stages = || ring.into_iter().flat_map(|ring| ring.stages_of(member));
        MemberView {
            member,
            name: self.name.clone(),
            engine: stages().next().map(|stage| stage.engine),
            measured: self.engines.clone().unwrap_or_default(),
            budget_bytes: self.budget_bytes,
            units: stages().map(|stage| stage.units).collect(),
            ms_per_token: self.ms_per_token,
            hidden: self.hidden_since_ms.is_some(),
            low_battery: self.power.is_low(),
            rtt_ms: self.pulse.as_ref().and_then(Pulse::rtt_ms),
            loaded_bytes: self.progress.bytes_done,
            assigned_bytes: self.progress.bytes_total,
            fetched_bytes: self.progress.bytes_fetched,
            from_room_bytes: self.progress.bytes_from_room,
            failed_sources: self.progress.failed_sources,
        }
    }
}

/// At most one measurement per executor, with a variant of bounded length.
pub(crate) fn shown_engines(engines: Vec<EngineProfile>) -> Vec<EngineProfile> {
    let mut kinds = BTreeSet::new();
    let mut engines = engines;
    engines.retain(|profile| kinds.insert(profile.engine));
    for profile in &mut engines {
        profile.variant = profile.variant.chars().take(VARIANT_CHARS).collect();
    }
    engines
}

/// A fault as another phone tells it, of bounded length.
pub(crate) fn shown_fault(fault: Fault) -> Fault {
    let cut = |text: String| text.chars().take(FAULT_CHARS).collect();
    Fault {
        code: cut(fault.code),
        message: cut(fault.message),
        remedy: cut(fault.remedy),
    }
}

/// A name without control characters and of bounded length.
pub(crate) fn shown(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_control())
        .take(NAME_CHARS)
        .collect()
}
