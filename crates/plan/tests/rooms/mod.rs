//! Rooms to plan for.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::collections::BTreeMap;
use std::ops::Range;

use model::{EngineKind, NumericClass, UnitKind, WireDtype};
use plan::{
    EngineProfile, HopMatrix, MemberId, PhoneProfile, Power, Problem, UnitNeed, Wishes, Workload,
};

pub const MIB: u64 = 1 << 20;
/// ms per block of [`Room::gpu`] in most tests.
pub const GPU_MS: f64 = 0.25;

/// Builds a [`Problem`]: blocks of 10 MiB (9 weights, 1 KV) alternate attention and MLP; embedding and head take 10 MiB each, scratch 2 MiB.
pub struct Room {
    problem: Problem,
}

impl Room {
    pub fn of_blocks(blocks: usize) -> Self {
        let unit = |kind| UnitNeed {
            kind,
            weight_bytes: 9 * MIB,
            kv_bytes: MIB,
        };
        let mut units = vec![unit(UnitKind::Embedding)];
        units.extend(
            [UnitKind::Attention, UnitKind::Mlp]
                .into_iter()
                .cycle()
                .take(blocks)
                .map(unit),
        );
        units.push(unit(UnitKind::Head));
        Self {
            problem: Problem {
                units,
                phones: Vec::new(),
                hops: HopMatrix::default(),
                column_bytes: 2048,
                slots: 1,
                scratch_bytes: 2 * MIB,
                class: NumericClass {
                    wire: WireDtype::F32,
                    chunk_columns: 32,
                    context_columns: 512,
                },
                workload: Workload::default(),
                wishes: Wishes::default(),
                forced_engines: BTreeMap::new(),
            },
        }
    }

    /// A room of `peers` + 1 phones drawn from a seed: budgets in MiB, blocks of 0.1 to 5 ms, hops of 0 to 10 ms.
    pub fn of_seed(seed: u64, peers: u32, blocks: usize, budgets_mib: Range<u64>) -> Self {
        let mut state = seed;
        // Linear congruential generator of Knuth's MMIX; the upper bits.
        let mut draw = |from: f64, to: f64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            from + (to - from) * (state >> 32) as f64 / f64::from(u32::MAX)
        };
        let mut room = Self::of_blocks(blocks);
        for member in 0..=peers {
            let budget_mib = draw(budgets_mib.start as f64, budgets_mib.end as f64) as u64;
            room = room.phone(member, budget_mib * MIB, draw(0.1, 5.0));
            for other in 0..member {
                room.problem
                    .hops
                    .set(MemberId(other), MemberId(member), draw(0.0, 10.0));
            }
        }
        room
    }

    /// A phone that needs `block_ms` for a column of a block.
    pub fn phone(mut self, member: u32, budget_bytes: u64, block_ms: f64) -> Self {
        let engines = vec![engine(EngineKind::Cpu, block_ms, block_ms)];
        self.problem
            .phones
            .push(profile(member, budget_bytes, engines));
        self
    }

    /// What a phone's battery does.
    pub fn power(mut self, member: u32, power: Power) -> Self {
        let mut phones = self.problem.phones.iter_mut();
        let phone = phones.find(|phone| phone.member == MemberId(member));
        phone.unwrap().power = power;
        self
    }

    /// Gives a phone a second executor.
    pub fn gpu(mut self, member: u32, block_ms: f64) -> Self {
        let phone = self
            .problem
            .phones
            .iter_mut()
            .find(|phone| phone.member == MemberId(member))
            .unwrap();
        phone
            .engines
            .push(engine(EngineKind::Gpu, block_ms, block_ms));
        self
    }

    /// The same one-way time between all phones.
    pub fn hops_ms(mut self, ms: f64) -> Self {
        let members: Vec<_> = self
            .problem
            .phones
            .iter()
            .map(|phone| phone.member)
            .collect();
        for (at, &a) in members.iter().enumerate() {
            for &b in &members[at + 1..] {
                self.problem.hops.set(a, b, ms);
            }
        }
        self
    }

    pub fn build(self) -> Problem {
        self.problem
    }
}

/// A phone on the mains.
pub fn profile(member: u32, budget_bytes: u64, engines: Vec<EngineProfile>) -> PhoneProfile {
    PhoneProfile {
        member: MemberId(member),
        budget_bytes,
        engines,
        power: Power::Charging,
        download_bytes_per_ms: None,
        hidden: false,
        metered: false,
    }
}

/// Calls take 0.5 ms, the embedding 0.1, the head 1, a chunk four times a column.
pub fn engine(engine: EngineKind, attention_ms: f64, mlp_ms: f64) -> EngineProfile {
    let decode_ms_per_unit = BTreeMap::from([
        (UnitKind::Embedding, 0.1),
        (UnitKind::Attention, attention_ms),
        (UnitKind::Mlp, mlp_ms),
        (UnitKind::Head, 1.0),
    ]);
    EngineProfile {
        engine,
        variant: "test".to_owned(),
        chunk_ms_per_unit: decode_ms_per_unit
            .iter()
            .map(|(&kind, &ms)| (kind, 4.0 * ms))
            .collect(),
        decode_ms_per_unit,
        verify_ms_per_unit: BTreeMap::new(),
        attention_ms_per_cached_column: 0.0,
        ms_per_call: 0.5,
    }
}
