//! The problem after its numbers were checked, with the sums every part of the planner needs.

use std::collections::BTreeMap;

use model::{EngineKind, NumericClass, UnitKind, UnitRange};

use crate::error::PlanError;
use crate::problem::Problem;
use crate::profile::{EngineProfile, MemberId, PhoneProfile, Power};

/// Phones in one room.
pub(crate) const MAX_PHONES: usize = 32;
/// Units of a model; the largest models have a few hundred.
const MAX_UNITS: usize = 4096;
/// Longest time a measurement may claim; an hour per unit is not a phone.
const MAX_MS: f64 = 3.6e6;
/// Slowest and fastest link a measurement may claim, bytes per ms: 8 bit/s and 8 Tbit/s.
const MIN_BYTES_PER_MS: f64 = 1e-3;
const MAX_BYTES_PER_MS: f64 = 1e9;
/// Requests in flight; a phone has no memory for more caches.
const MAX_IN_FLIGHT: u32 = 1024;
/// Weight of batteries beyond which time would not count at all.
const MAX_ENERGY_WEIGHT: f64 = 1e6;
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

    /// Every kind so many times.
    fn scaled(self, factor: f64) -> Self {
        Self {
            embedding: self.embedding * factor,
            attention: self.attention * factor,
            mlp: self.mlp * factor,
            head: self.head * factor,
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
    /// One lap of the workload, in the middle of its answer.
    pub lap: PerKind,
    /// One full prefill chunk.
    pub chunk: PerKind,
    /// The head for one column.
    pub head_column_ms: f64,
    pub ms_per_call: f64,
}

impl Speed {
    /// Whether it is nowhere slower than another.
    fn covers(&self, other: &Self) -> bool {
        let kinds = [
            UnitKind::Embedding,
            UnitKind::Attention,
            UnitKind::Mlp,
            UnitKind::Head,
        ];
        kinds.into_iter().all(|kind| {
            self.lap.of(kind) <= other.lap.of(kind) && self.chunk.of(kind) <= other.chunk.of(kind)
        }) && self.head_column_ms <= other.head_column_ms
            && self.ms_per_call <= other.ms_per_call
    }
}

/// One phone that can compute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Phone {
    pub member: MemberId,
    /// Budget less scratch memory.
    pub usable_bytes: u64,
    pub budget_bytes: u64,
    pub power: Power,
    pub hidden: bool,
    pub metered: bool,
    /// [`PhoneProfile::may_go`].
    pub may_go: bool,
    pub speeds: Vec<Speed>,
}

impl Phone {
    /// Executors worth choosing: without those that another one covers.
    pub fn choices(&self) -> impl Iterator<Item = &Speed> {
        self.speeds.iter().enumerate().filter_map(|(at, speed)| {
            let covered = self.speeds.iter().enumerate().any(|(by, other)| {
                by != at && other.covers(speed) && (by < at || !speed.covers(other))
            });
            (!covered).then_some(speed)
        })
    }
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
        check_workload(problem)?;
        problem
            .class
            .check()
            .map_err(|error| numbers(&error.to_string()))?;
        for ms in problem.hops.measured() {
            checked_ms(ms, "a hop")?;
        }
        for rate in problem.hops.rates() {
            checked_rate(rate, "a link")?;
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

    /// Weights and KV of embedding, first blocks and head, which stay on the host, bytes.
    pub fn pinned_bytes(&self) -> u64 {
        let end = self.host_end_least();
        self.bytes(UnitRange { start: 0, end }) + self.head_bytes()
    }

    /// Weights and KV of the head.
    pub fn head_bytes(&self) -> u64 {
        self.bytes(UnitRange {
            start: self.head(),
            end: self.end,
        })
    }

    /// What the host has for blocks, bytes; `None` if it cannot even hold embedding and head.
    pub fn host_block_bytes(&self) -> Option<u64> {
        let ends_bytes = self.bytes(UnitRange { start: 0, end: 1 }) + self.head_bytes();
        self.host
            .budget_bytes
            .checked_sub(self.problem.scratch_bytes)?
            .checked_sub(ends_bytes)
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

    /// ms from one phone of the room to another for some columns.
    pub fn hop_ms(&self, from: MemberId, to: MemberId, columns: u32) -> Result<f64, PlanError> {
        let small_ms = self.problem.hops.ms(from, to).ok_or(PlanError::NoHop {
            member: if from == MemberId::HOST { to } else { from },
        })?;
        Ok(small_ms + self.transfer_ms(from, to, columns))
    }

    /// ms for which some columns occupy the way from one phone of the room to another.
    pub fn transfer_ms(&self, from: MemberId, to: MemberId, columns: u32) -> f64 {
        let bytes = self.problem.column_bytes.saturating_mul(u64::from(columns));
        let hops = &self.problem.hops;
        hops.transfer_ms(from, to, bytes).unwrap_or(0.0)
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

    /// Rounds of the ring that generate the workload's answer.
    pub fn laps(&self) -> f64 {
        let workload = &self.problem.workload;
        f64::from(workload.output_tokens) / workload.lap.tokens
    }

    /// Where the host's first stage ends at the earliest: behind what the room wishes to keep there.
    pub fn host_end_least(&self) -> u32 {
        let wished = self.problem.wishes.first_blocks_on_host;
        wished.saturating_add(1).clamp(1, self.head())
    }

    /// The same room with one phone so many times slower.
    pub fn slowed(&self, member: MemberId, factor: f64) -> Self {
        let mut slowed = self.clone();
        let phones = core::iter::once(&mut slowed.host).chain(&mut slowed.peers);
        for phone in phones.filter(|phone| phone.member == member) {
            for speed in &mut phone.speeds {
                speed.lap = speed.lap.scaled(factor);
                speed.chunk = speed.chunk.scaled(factor);
                speed.head_column_ms *= factor;
                speed.ms_per_call *= factor;
            }
        }
        slowed
    }

    /// The same room with more memory on one phone.
    pub fn with_more_memory(&self, member: MemberId, bytes: u64) -> Self {
        let mut roomier = self.clone();
        let phones = core::iter::once(&mut roomier.host).chain(&mut roomier.peers);
        for phone in phones.filter(|phone| phone.member == member) {
            phone.usable_bytes += bytes;
            phone.budget_bytes += bytes;
        }
        roomier
    }

    /// The same room without some of its peers.
    pub fn without(&self, spared: &[MemberId]) -> Self {
        let mut fewer = self.clone();
        fewer.peers.retain(|peer| !spared.contains(&peer.member));
        fewer
    }
}

fn check_workload(problem: &Problem) -> Result<(), PlanError> {
    let workload = &problem.workload;
    if workload.output_tokens == 0 {
        return Err(numbers("a workload without output tokens"));
    }
    if !(1..=MAX_IN_FLIGHT).contains(&workload.requests_in_flight) {
        return Err(numbers(&format!(
            "a workload of {} requests in flight",
            workload.requests_in_flight
        )));
    }
    if !(1..=Problem::MAX_SLOTS).contains(&problem.slots) {
        return Err(numbers(&format!("KV of {} requests", problem.slots)));
    }
    let columns = workload.lap.columns;
    if !(1..=NumericClass::MAX_DECODE_COLUMNS).contains(&columns) {
        return Err(numbers(&format!("laps of {columns} columns")));
    }
    if !(1.0..=f64::from(columns)).contains(&workload.lap.tokens) {
        return Err(numbers(&format!(
            "laps of {columns} columns that yield {} tokens",
            workload.lap.tokens
        )));
    }
    let weight = problem.wishes.energy_weight;
    if !(0.0..=MAX_ENERGY_WEIGHT).contains(&weight) {
        return Err(numbers(&format!("an energy weight of {weight}")));
    }
    if problem.column_bytes > MAX_BYTES {
        return Err(numbers("a column above 1 TiB"));
    }
    Ok(())
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
        let unit_bytes = problem.unit_bytes(unit);
        if unit_bytes > MAX_BYTES {
            return Err(numbers("a unit above 1 TiB"));
        }
        bytes += unit_bytes;
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
    if !(0.0..=1.0).contains(&profile.power.share()) {
        return Err(numbers(&format!(
            "phone {} says its battery is at {}",
            profile.member.0,
            profile.power.share()
        )));
    }
    if let Some(rate) = profile.download_bytes_per_ms {
        checked_rate(rate, "a download")?;
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
        .map(|engine| checked_speed(problem, profile.member, engine))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Phone {
        member: profile.member,
        usable_bytes: profile.budget_bytes.saturating_sub(problem.scratch_bytes),
        budget_bytes: profile.budget_bytes,
        power: profile.power,
        hidden: profile.hidden,
        metered: profile.metered,
        may_go: profile.may_go(),
        speeds,
    })
}

fn checked_speed(
    problem: &Problem,
    member: MemberId,
    profile: &EngineProfile,
) -> Result<Speed, PlanError> {
    let per_kind = |measured: &BTreeMap<UnitKind, f64>| {
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
    let column = per_kind(&profile.decode_ms_per_unit)?;
    let columns = problem.workload.lap.columns;
    let mut lap = match profile.verify_ms_per_unit.is_empty() {
        true => column.scaled(f64::from(columns)),
        false => between(column, per_kind(&profile.verify_ms_per_unit)?, columns),
    };
    let per_cached_ms = checked_ms(
        profile.attention_ms_per_cached_column,
        &format!("a cached column on phone {}", member.0),
    )?;
    lap.attention += per_cached_ms * f64::from(columns) * cached_columns(problem);
    Ok(Speed {
        engine: profile.engine,
        lap,
        chunk: per_kind(&profile.chunk_ms_per_unit)?,
        head_column_ms: column.head,
        ms_per_call: checked_ms(
            profile.ms_per_call,
            &format!("a call on phone {}", member.0),
        )?,
    })
}

/// Times of a call with some columns, between those of one and of the most that were measured.
fn between(one: PerKind, most: PerKind, columns: u32) -> PerKind {
    let share = f64::from(columns - 1) / f64::from(NumericClass::MAX_DECODE_COLUMNS - 1);
    let of = |one: f64, most: f64| one + (most - one) * share;
    PerKind {
        embedding: of(one.embedding, most.embedding),
        attention: of(one.attention, most.attention),
        mlp: of(one.mlp, most.mlp),
        head: of(one.head, most.head),
    }
}

/// Columns cached in the middle of the workload's answer, as far as the context reaches.
fn cached_columns(problem: &Problem) -> f64 {
    let workload = &problem.workload;
    let middle = f64::from(workload.prompt_tokens) + f64::from(workload.output_tokens) / 2.0;
    middle.min(f64::from(problem.class.context_columns))
}

fn checked_ms(ms: f64, what: &str) -> Result<f64, PlanError> {
    if (0.0..=MAX_MS).contains(&ms) {
        Ok(ms)
    } else {
        Err(numbers(&format!("{what} takes {ms} ms")))
    }
}

fn checked_rate(bytes_per_ms: f64, what: &str) -> Result<(), PlanError> {
    match (MIN_BYTES_PER_MS..=MAX_BYTES_PER_MS).contains(&bytes_per_ms) {
        true => Ok(()),
        false => Err(numbers(&format!("{what} of {bytes_per_ms} bytes per ms"))),
    }
}

fn numbers(detail: &str) -> PlanError {
    PlanError::Numbers {
        detail: detail.to_owned(),
    }
}
