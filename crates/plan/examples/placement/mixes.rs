//! Device mixes and models of the experiments, fixed before any of this was written.

use std::collections::BTreeMap;

use plan::{HopMatrix, MemberId, Problem, Wishes, Workload};

use crate::instances::{class, phone, units};

/// Phones of a mix: time per unit relative to the first, and memory in GB.
pub struct Mix {
    pub name: &'static str,
    pub times: &'static [f64],
    pub memory_gb: &'static [f64],
}

pub const MIXES: [Mix; 3] = [
    Mix {
        name: "A",
        times: &[1.0, 1.6, 4.0],
        memory_gb: &[8.0, 6.0, 4.0],
    },
    Mix {
        name: "B",
        times: &[1.0, 1.0, 3.0],
        memory_gb: &[8.0, 6.0, 4.0],
    },
    Mix {
        name: "C",
        times: &[1.0, 1.0, 2.0, 5.0],
        memory_gb: &[8.0, 6.0, 4.0, 4.0],
    },
];

pub const EQUAL: Mix = Mix {
    name: "3 equal phones",
    times: &[1.0, 1.0, 1.0],
    memory_gb: &[6.0, 6.0, 6.0],
};

/// A transformer's shape.
pub struct Shape {
    pub name: &'static str,
    layers: u32,
    hidden: u32,
    mlp: u32,
    kv_width: u32,
    vocabulary: u32,
}

const fn shape(
    name: &'static str,
    layers: u32,
    [hidden, mlp, kv_width]: [u32; 3],
    vocabulary: u32,
) -> Shape {
    Shape {
        name,
        layers,
        hidden,
        mlp,
        kv_width,
        vocabulary,
    }
}

/// Shapes of Qwen2.5-0.5B, Llama 3.2 1B and 3B, and Llama 2 7B.
pub const SHAPES: [Shape; 4] = [
    shape("0.5B", 24, [896, 4864, 128], 151_936),
    shape("1B", 16, [2048, 8192, 512], 128_256),
    shape("3B", 28, [3072, 8192, 1024], 128_256),
    shape("7B", 32, [4096, 11_008, 4096], 32_000),
];

/// 4.5 bits per weight.
const BYTES_PER_WEIGHT: f64 = 4.5 / 8.0;
/// Share of a phone's memory that a page may use.
const USABLE_SHARE: f64 = 0.7;
/// All phones together can hold so many times the model: with any one of them gone, the others cannot.
pub const SPARE: f64 = 1.2;
/// The first phone reads weights this fast, bytes per ms: 8 GB/s, a tenth to a sixth of a phone's memory bandwidth.
const BYTES_PER_MS: f64 = 8e6;
/// 5 ms one way, 40 Mbit/s.
const HOP_MS: f64 = 5.0;
const LINK_BYTES_PER_MS: f64 = 5000.0;

/// The mix with its memory scaled so that the model needs all phones (times `roomier`).
pub fn problem(mix: &Mix, shape: &Shape, roomier: f64) -> Problem {
    let hidden = f64::from(shape.hidden);
    let attention = hidden * (2.0 * hidden + 2.0 * f64::from(shape.kv_width));
    let mlp = 3.0 * hidden * f64::from(shape.mlp);
    // Embedding and head share their weights; they count once, with the embedding.
    let embedding = hidden * f64::from(shape.vocabulary) * BYTES_PER_WEIGHT;
    let class = class();
    let kv_bytes = 4.0 * f64::from(shape.kv_width) * f64::from(class.context_columns);
    let blocks = 2 * shape.layers as usize;
    let mut units = units(blocks, 0.0, 0.0, kv_bytes);
    let last = units.len() - 1;
    for (at, unit) in units.iter_mut().enumerate() {
        unit.weight_bytes = match at {
            0 => embedding as u64,
            _ if at == last => 0,
            _ if at % 2 == 1 => (attention * BYTES_PER_WEIGHT) as u64,
            _ => (mlp * BYTES_PER_WEIGHT) as u64,
        };
    }
    let needed: u64 = units
        .iter()
        .map(|unit| unit.weight_bytes + unit.kv_bytes)
        .sum();
    let usable: f64 = mix.memory_gb.iter().map(|gb| gb * USABLE_SHARE).sum();
    let scale = SPARE * roomier * needed as f64 / usable;
    let mut problem = Problem {
        units,
        phones: Vec::new(),
        hops: HopMatrix::default(),
        column_bytes: u64::from(shape.hidden) * 2 + 4,
        slots: 1,
        scratch_bytes: 0,
        class,
        workload: Workload::default(),
        wishes: Wishes::default(),
        forced_engines: BTreeMap::new(),
    };
    for (member, (time, gb)) in (0..).zip(mix.times.iter().zip(mix.memory_gb)) {
        let ms = |weights: f64| weights * BYTES_PER_WEIGHT / BYTES_PER_MS * time;
        let budget = (gb * USABLE_SHARE * scale) as u64;
        let mut phone = phone(member, budget, ms(attention), ms(mlp));
        let engine = &mut phone.engines[0];
        for per_unit in [
            &mut engine.decode_ms_per_unit,
            &mut engine.chunk_ms_per_unit,
        ] {
            per_unit.insert(
                model::UnitKind::Head,
                ms(hidden * f64::from(shape.vocabulary)),
            );
        }
        problem.phones.push(phone);
        for other in 0..member {
            let (a, b) = (MemberId(other), MemberId(member));
            problem.hops.set(a, b, HOP_MS);
            problem.hops.set_rate(a, b, LINK_BYTES_PER_MS);
        }
    }
    problem
}
