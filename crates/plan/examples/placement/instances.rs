//! Rooms drawn from a seed.

use std::collections::BTreeMap;

use model::{EngineKind, NumericClass, UnitKind, WireDtype};
use plan::{
    EngineProfile, HopMatrix, MemberId, PhoneProfile, Power, Problem, UnitNeed, Wishes, Workload,
};

const MIB: f64 = 1_048_576.0;
/// A chunk of 32 columns takes so many times a column: weights are read once for all of them.
pub const CHUNK_COLUMNS_COST: f64 = 8.0;

/// Linear congruential generator of Knuth's MMIX; the upper bits.
pub struct Draw(pub u64);

impl Draw {
    pub fn between(&mut self, from: f64, to: f64) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        from + (to - from) * (self.0 >> 32) as f64 / f64::from(u32::MAX)
    }

    pub fn whole(&mut self, from: u32, to: u32) -> u32 {
        self.between(f64::from(from), f64::from(to) + 0.999_999) as u32
    }
}

/// A room of `phones` and `blocks`: 0.5 to 10 ms per block, hops of 3 to 30 ms, 1 to 100 Mbit/s. All phones together have 1.1 to 4 times the
/// memory that is needed, unevenly.
pub fn room(seed: u64, phones: u32, blocks: usize) -> Problem {
    let mut draw = Draw(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D);
    draw.between(0.0, 1.0);
    let units = units(blocks, 18.0 * MIB, 60.0 * MIB, 1.0 * MIB);
    let needed: u64 = units
        .iter()
        .map(|unit| unit.weight_bytes + unit.kv_bytes)
        .sum();
    let scratch_bytes = (4.0 * MIB) as u64;
    let shares: Vec<f64> = (0..phones).map(|_| draw.between(0.3, 1.0)).collect();
    let plenty = draw.between(1.1, 4.0) * needed as f64 / shares.iter().sum::<f64>();
    // Embedding and head must fit on the host in any case.
    let ends = 121.0 * MIB;
    let mut problem = Problem {
        units,
        phones: Vec::new(),
        hops: HopMatrix::default(),
        column_bytes: 4096,
        slots: 1,
        scratch_bytes,
        class: class(),
        workload: Workload::default(),
        wishes: Wishes::default(),
        forced_engines: BTreeMap::new(),
    };
    for (member, share) in (0..).zip(shares) {
        let ms = draw.between(0.5, 10.0);
        let least = if member == 0 { ends } else { 0.0 };
        let budget = (share * plenty).max(least) as u64 + scratch_bytes;
        problem.phones.push(phone(member, budget, ms, ms * 1.4));
        for other in 0..member {
            let (a, b) = (MemberId(other), MemberId(member));
            problem.hops.set(a, b, draw.between(3.0, 30.0));
            problem.hops.set_rate(a, b, draw.between(125.0, 12_500.0));
        }
    }
    problem
}

/// Attention and MLP blocks between embedding and head; an MLP is twice an attention.
pub fn units(blocks: usize, block_bytes: f64, end_bytes: f64, kv_bytes: f64) -> Vec<UnitNeed> {
    let unit = |kind, weights: f64, kv: f64| UnitNeed {
        kind,
        weight_bytes: weights as u64,
        kv_bytes: kv as u64,
    };
    let mut units = vec![unit(UnitKind::Embedding, end_bytes, 0.0)];
    for block in 0..blocks {
        units.push(match block % 2 {
            0 => unit(UnitKind::Attention, block_bytes * 2.0 / 3.0, kv_bytes),
            _ => unit(UnitKind::Mlp, block_bytes * 4.0 / 3.0, 0.0),
        });
    }
    units.push(unit(UnitKind::Head, end_bytes, 0.0));
    units
}

pub fn class() -> NumericClass {
    NumericClass {
        wire: WireDtype::F16Scaled,
        chunk_columns: 32,
        context_columns: 2048,
    }
}

/// A simulated phone.
pub fn phone(member: u32, budget_bytes: u64, attention_ms: f64, mlp_ms: f64) -> PhoneProfile {
    let decode_ms_per_unit = BTreeMap::from([
        (UnitKind::Embedding, 0.05),
        (UnitKind::Attention, attention_ms),
        (UnitKind::Mlp, mlp_ms),
        (UnitKind::Head, 2.0 * mlp_ms),
    ]);
    PhoneProfile {
        member: MemberId(member),
        budget_bytes,
        engines: vec![EngineProfile {
            engine: EngineKind::Cpu,
            variant: "simulated".to_owned(),
            chunk_ms_per_unit: decode_ms_per_unit
                .iter()
                .map(|(&kind, &ms)| (kind, CHUNK_COLUMNS_COST * ms))
                .collect(),
            decode_ms_per_unit,
            verify_ms_per_unit: BTreeMap::new(),
            attention_ms_per_cached_column: 0.0,
            ms_per_call: 0.5,
        }],
        power: Power::Charging,
        download_bytes_per_ms: Some(5000.0),
        hidden: false,
        metered: false,
    }
}
