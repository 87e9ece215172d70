//! The problem after its numbers were checked, with the sums every part of the planner needs.

use model::{EngineKind, UnitKind, UnitRange};

use crate::error::PlanError;
use crate::problem::Problem;
use crate::profile::{EngineProfile, MemberId, PhoneProfile};

/// Phones in one room; capacity is decided exactly over all subsets of them.
pub(crate) const MAX_PHONES: usize = 16;
/// Units of a model; the largest models have a few hundred.
const MAX_UNITS: usize = 4096;
/// Longest time a measurement may claim; an hour per unit is not a phone.
const MAX_MS: f64 = 3.6e6;
/// Largest amount of memory a number may claim, 1 TiB: sums of a whole room stay exact in f64.
const MAX_BYTES: u64 = 1 << 40;

/// How many units of each kind are in a range.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Counts {
    pub embedding: u32,
    pub attention: u32,
    pub mlp: u32,
    pub head: u32,
}

impl Counts {
    fn plus(self, kind: UnitKind) -> Self {
        let mut sum = self;
        match kind {
            UnitKind::Embedding => sum.embedding += 1,
            UnitKind::Attention => sum.attention += 1,
            UnitKind::Mlp => sum.mlp += 1,
            UnitKind::Head => sum.head += 1,
        }
        sum
    }

    fn minus(self, before: Self) -> Self {
        Self {
            embedding: self.embedding - before.embedding,
            attention: self.attention - before.attention,
            mlp: self.mlp - before.mlp,
            head: self.head - before.head,
        }
    }
}

/// ms per unit of each kind. A kind the phone never runs is 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PerKind {
    pub embedding: f64,
    pub attention: f64,
    pub mlp: f64,
    pub head: f64,
}

impl PerKind {
    /// ms of one unit.
    pub fn of(&self, kind: UnitKind) -> f64 {
        match kind {
            UnitKind::Embedding => self.embedding,
            UnitKind::Attention => self.attention,
            UnitKind::Mlp => self.mlp,
            UnitKind::Head => self.head,
        }
    }

    /// ms of a run of units.
    pub fn times(&self, counts: Counts) -> f64 {
        f64::from(counts.embedding) * self.embedding
            + f64::from(counts.attention) * self.attention
            + f64::from(counts.mlp) * self.mlp
            + f64::from(counts.head) * self.head
    }
}

/// One executor on one phone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Speed {
    pub engine: EngineKind,
    pub decode: PerKind,
    pub chunk: PerKind,
    pub ms_per_call: f64,
}

/// One phone that can compute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Phone {
    pub member: MemberId,
    /// Budget less scratch memory.
    pub usable_bytes: u64,
    pub budget_bytes: u64,
    pub speeds: Vec<Speed>,
}

/// Checked problem.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ground<'a> {
    pub problem: &'a Problem,
    pub host: Phone,
    /// Ascending by member; phones without an executor are not among them.
    pub peers: Vec<Phone>,
    /// Entry i: units before unit i.
    counts_before: Vec<Counts>,
    /// Entry i: weight and KV bytes of the units before unit i.
    bytes_before: Vec<u64>,
    /// One past the last unit.
    pub end: u32,
}

impl<'a> Ground<'a> {
    /// Refuses numbers no measurement gives and units that are not embedding, blocks, head.
    pub fn new(problem: &'a Problem) -> Result<Self, PlanError> {
        let end = check_units(problem)?;
        let (counts_before, bytes_before) = sums_before(problem)?;
        if problem.scratch_bytes > MAX_BYTES {
            return Err(numbers("scratch memory above 1 TiB"));
        }
        if problem.workload.output_tokens == 0 {
            return Err(numbers("a workload without output tokens"));
        }
        problem
            .class
            .check()
            .map_err(|error| numbers(&error.to_string()))?;
        for ms in problem.hops.measured() {
            checked_ms(ms, "a hop")?;
        }
        if problem.phones.len() > MAX_PHONES {
            return Err(PlanError::TooManyPhones {
                phones: problem.phones.len(),
                most: MAX_PHONES,
            });
        }
        let mut phones = problem
            .phones
            .iter()
            .map(|profile| checked_phone(problem, profile))
            .collect::<Result<Vec<_>, _>>()?;
        phones.sort_by_key(|phone| phone.member);
        if phones
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a.member == b.member))
        {
            return Err(numbers("one phone is listed twice"));
        }
        let (hosts, peers): (Vec<_>, Vec<_>) = phones
            .into_iter()
            .partition(|phone| phone.member == MemberId::HOST);
        let host = hosts.into_iter().next().ok_or(PlanError::NoHost)?;
        if host.speeds.is_empty() {
            return Err(PlanError::HostCannotRun);
        }
        let peers: Vec<_> = peers
            .into_iter()
            .filter(|phone| !phone.speeds.is_empty())
            .collect();
        for peer in &peers {
            problem
                .hops
                .ms(MemberId::HOST, peer.member)
                .ok_or(PlanError::NoHop {
                    member: peer.member,
                })?;
        }
        Ok(Self {
            problem,
            host,
            peers,
            counts_before,
            bytes_before,
            end,
        })
    }

    /// Index of the head, the last unit.
    pub fn head(&self) -> u32 {
        self.end - 1
    }

    /// Units of each kind in a range that lies within the model.
    pub fn counts(&self, units: UnitRange) -> Counts {
        let before = |unit: u32| {
            self.counts_before
                .get(unit as usize)
                .copied()
                .unwrap_or_default()
        };
        if units.is_empty() || units.end > self.end {
            return Counts::default();
        }
        before(units.end).minus(before(units.start))
    }

    /// Weights and KV of a range that lies within the model, bytes.
    pub fn bytes(&self, units: UnitRange) -> u64 {
        let before = |unit: u32| {
            self.bytes_before
                .get(unit as usize)
                .copied()
                .unwrap_or_default()
        };
        if units.is_empty() || units.end > self.end {
            return 0;
        }
        before(units.end) - before(units.start)
    }

    /// Weights and KV of embedding and head, which stay on the host, bytes.
    pub fn pinned_bytes(&self) -> u64 {
        self.bytes(UnitRange { start: 0, end: 1 })
            + self.bytes(UnitRange {
                start: self.head(),
                end: self.end,
            })
    }

    /// What the host has left for blocks, bytes; `None` if it cannot even hold what is pinned to it.
    pub fn host_block_bytes(&self) -> Option<u64> {
        self.host
            .budget_bytes
            .checked_sub(self.problem.scratch_bytes)?
            .checked_sub(self.pinned_bytes())
    }

    /// Where the longest run from `start` that fits into `bytes` ends, at most at the head.
    pub fn longest_from(&self, start: u32, bytes: u64) -> u32 {
        let limit = self
            .bytes_before
            .get(start as usize)
            .copied()
            .unwrap_or_default()
            .saturating_add(bytes);
        let fitting = self.bytes_before.partition_point(|&before| before <= limit);
        u32::try_from(fitting.saturating_sub(1))
            .unwrap_or(u32::MAX)
            .clamp(start, self.head())
    }

    /// Where the longest run that ends before `end` and fits into `bytes` starts, at least after the embedding.
    pub fn longest_before(&self, end: u32, bytes: u64) -> u32 {
        let reach = self
            .bytes_before
            .get(end as usize)
            .copied()
            .unwrap_or_default();
        let start = self
            .bytes_before
            .partition_point(|&before| reach.saturating_sub(before) > bytes);
        u32::try_from(start)
            .unwrap_or(u32::MAX)
            .clamp(1, end.max(1))
    }

    /// ms from one phone of the room to another.
    pub fn hop_ms(&self, from: MemberId, to: MemberId) -> Result<f64, PlanError> {
        self.problem.hops.ms(from, to).ok_or(PlanError::NoHop {
            member: if from == MemberId::HOST { to } else { from },
        })
    }

    /// The phone with this number, if it can compute.
    pub fn phone(&self, member: MemberId) -> Option<&Phone> {
        core::iter::once(&self.host)
            .chain(&self.peers)
            .find(|phone| phone.member == member)
    }

    /// Prefill calls of the workload's prompt on the chunk grid.
    pub fn chunks(&self) -> u32 {
        self.problem
            .workload
            .prompt_tokens
            .div_ceil(self.problem.class.chunk_columns)
            .max(1)
    }
}

fn check_units(problem: &Problem) -> Result<u32, PlanError> {
    let refuse = |detail: &str| {
        Err(PlanError::Units {
            detail: detail.to_owned(),
        })
    };
    if problem.units.len() > MAX_UNITS {
        return refuse("it has more units than any model");
    }
    let kinds: Vec<_> = problem.units.iter().map(|unit| unit.kind).collect();
    let [UnitKind::Embedding, blocks @ .., UnitKind::Head] = kinds.as_slice() else {
        return refuse("it does not start with an embedding and end with a head");
    };
    if blocks
        .iter()
        .any(|kind| matches!(kind, UnitKind::Embedding | UnitKind::Head))
    {
        return refuse("it has an embedding or a head among its blocks");
    }
    // A phone without a free byte must not be able to hold one.
    let mut blocks = problem.units.iter().skip(1).take(blocks.len());
    if blocks.any(|block| block.weight_bytes == 0) {
        return refuse("it has a block without weights");
    }
    u32::try_from(kinds.len()).or_else(|_| refuse("it has too many units"))
}

fn sums_before(problem: &Problem) -> Result<(Vec<Counts>, Vec<u64>), PlanError> {
    let (mut counts, mut bytes) = (Counts::default(), 0_u64);
    let mut sums = (vec![counts], vec![bytes]);
    for unit in &problem.units {
        counts = counts.plus(unit.kind);
        let unit_bytes = unit
            .weight_bytes
            .checked_add(unit.kv_bytes)
            .filter(|&bytes| bytes <= MAX_BYTES);
        bytes += unit_bytes.ok_or_else(|| numbers("a unit above 1 TiB"))?;
        sums.0.push(counts);
        sums.1.push(bytes);
    }
    Ok(sums)
}

fn checked_phone(problem: &Problem, profile: &PhoneProfile) -> Result<Phone, PlanError> {
    if profile.budget_bytes > MAX_BYTES {
        return Err(numbers(&format!(
            "phone {} offers more than 1 TiB",
            profile.member.0
        )));
    }
    let speeds = match problem.forced_engines.get(&profile.member) {
        None => &profile.engines[..],
        Some(&engine) => {
            let forced = profile
                .engines
                .iter()
                .position(|measured| measured.engine == engine);
            let one = forced.and_then(|at| profile.engines.get(at..=at));
            one.ok_or(PlanError::NotMeasured {
                member: profile.member,
                engine,
            })?
        }
    };
    let speeds = speeds
        .iter()
        .map(|engine| checked_speed(profile.member, engine))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Phone {
        member: profile.member,
        usable_bytes: profile.budget_bytes.saturating_sub(problem.scratch_bytes),
        budget_bytes: profile.budget_bytes,
        speeds,
    })
}

fn checked_speed(member: MemberId, profile: &EngineProfile) -> Result<Speed, PlanError> {
    let per_kind = |measured: &std::collections::BTreeMap<UnitKind, f64>| {
        let of = |kind: UnitKind| match measured.get(&kind) {
            Some(&ms) => checked_ms(ms, &format!("{kind:?} on phone {}", member.0)),
            // Peers need not measure what only the host runs.
            None if member != MemberId::HOST
                && matches!(kind, UnitKind::Embedding | UnitKind::Head) =>
            {
                Ok(0.0)
            }
            None => Err(numbers(&format!(
                "phone {} did not measure {kind:?}",
                member.0
            ))),
        };
        Ok(PerKind {
            embedding: of(UnitKind::Embedding)?,
            attention: of(UnitKind::Attention)?,
            mlp: of(UnitKind::Mlp)?,
            head: of(UnitKind::Head)?,
        })
    };
    Ok(Speed {
        engine: profile.engine,
        decode: per_kind(&profile.decode_ms_per_unit)?,
        chunk: per_kind(&profile.chunk_ms_per_unit)?,
        ms_per_call: checked_ms(
            profile.ms_per_call,
            &format!("a call on phone {}", member.0),
        )?,
    })
}

fn checked_ms(ms: f64, what: &str) -> Result<f64, PlanError> {
    if (0.0..=MAX_MS).contains(&ms) {
        Ok(ms)
    } else {
        Err(numbers(&format!("{what} takes {ms} ms")))
    }
}

fn numbers(detail: &str) -> PlanError {
    PlanError::Numbers {
        detail: detail.to_owned(),
    }
}
