//! An engine that adds up what it sees: its answers depend on every token and every unit, and it refuses gaps.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{
    CacheId, CacheSpec, DType, EngineKind, Graph, NumericClass, Unit, UnitKind, UnitRange, ValueId,
    Weight, WeightId,
};
use plan::EngineProfile;
use session::seam::{JobInput, WantColumns};
use session::{Computed, Fault, Job};

pub const VOCABULARY: u32 = 101;
/// Bytes of the weights of one unit.
pub const UNIT_BYTES: u64 = 1 << 20;
/// Wide enough that a chunk needs several slices.
const WIDTH: usize = 600;

/// Embedding, `blocks` blocks, head.
pub fn graph(blocks: u32) -> Graph {
    let units = 0..blocks + 2;
    let kind = |unit| match unit {
        0 => UnitKind::Embedding,
        unit if unit == blocks + 1 => UnitKind::Head,
        unit if unit % 2 == 1 => UnitKind::Attention,
        _ => UnitKind::Mlp,
    };
    Graph {
        architecture: "sum".to_owned(),
        hidden_width: WIDTH as u32,
        vocabulary: VOCABULARY,
        max_context_columns: 1024,
        weights: units
            .clone()
            .map(|unit| Weight {
                name: format!("unit.{unit}"),
                dtype: DType::F32,
                rows: 1,
                cols: (UNIT_BYTES / 4) as u32,
                range: u64::from(unit) * UNIT_BYTES..u64::from(unit + 1) * UNIT_BYTES,
            })
            .collect(),
        values: vec![WIDTH as u32],
        caches: vec![CacheSpec { width: 1 }],
        ops: Vec::new(),
        units: units
            .map(|unit| Unit {
                kind: kind(unit),
                ops: 0..0,
                input: (unit > 0).then_some(ValueId(0)),
                output: ValueId(0),
                weights: vec![WeightId(unit)],
                caches: match kind(unit) {
                    UnitKind::Attention => vec![CacheId(0)],
                    _ => Vec::new(),
                },
            })
            .collect(),
    }
}

pub struct Engine {
    class: NumericClass,
    head: u32,
    loaded: Vec<UnitRange>,
    /// Tokens seen by each stage.
    seen: BTreeMap<UnitRange, Vec<f32>>,
    /// Fails the next forward call.
    pub breaks: bool,
    /// ms of one block.
    pub block_ms: f64,
    busy_ms: u64,
    pub runs: u32,
}

impl Engine {
    pub fn new(graph: &Arc<Graph>, class: NumericClass) -> Self {
        Self {
            class,
            head: graph.units.len() as u32 - 1,
            loaded: Vec::new(),
            seen: BTreeMap::new(),
            breaks: false,
            block_ms: 1.0,
            busy_ms: 0,
            runs: 0,
        }
    }

    /// Results and when they come, ms from now.
    pub fn work(&mut self, work: Job) -> Vec<(u64, Computed)> {
        match work {
            Job::Measure { only, .. } => {
                let engines = vec![self.profile(only.unwrap_or(EngineKind::Cpu))];
                vec![(50, Computed::Measured { engines })]
            }
            Job::Load { stages, .. } => {
                self.loaded = stages;
                self.seen.clear();
                let progress = Computed::LoadProgress {
                    bytes_done: 1,
                    bytes_total: 2,
                    bytes_fetched: 1,
                };
                vec![(10, progress), (20, Computed::Loaded { resident_bytes: 2 })]
            }
            Job::Run { .. } if self.breaks => {
                let fault = Fault {
                    code: "gpu.lost".to_owned(),
                    message: "The GPU is gone.".to_owned(),
                    remedy: "Reload the page.".to_owned(),
                };
                vec![(3, Computed::Failed(fault))]
            }
            Job::Run {
                units,
                position,
                columns,
                prefill,
                want,
                input,
            } => {
                self.runs += 1;
                self.check(units, position, columns, prefill);
                let mut hidden = match input {
                    JobInput::Tokens(tokens) => embed(&tokens),
                    JobInput::Hidden(hidden) => hidden,
                };
                assert_eq!(hidden.len(), columns as usize * WIDTH);
                self.forward(units, position, &mut hidden);
                let values = self.wanted(units, want, &hidden);
                let compute_ms = self.block_ms * f64::from(units.len());
                vec![(3, Computed::Ran { values, compute_ms })]
            }
        }
    }

    fn profile(&self, engine: EngineKind) -> EngineProfile {
        let kinds = [
            UnitKind::Embedding,
            UnitKind::Attention,
            UnitKind::Mlp,
            UnitKind::Head,
        ];
        let ms = || {
            kinds
                .into_iter()
                .map(|kind| (kind, self.block_ms))
                .collect()
        };
        EngineProfile {
            engine,
            variant: "sum".to_owned(),
            decode_ms_per_unit: ms(),
            verify_ms_per_unit: BTreeMap::new(),
            chunk_ms_per_unit: ms(),
            attention_ms_per_cached_column: 0.0,
            ms_per_call: 0.5,
        }
    }

    fn check(&self, units: UnitRange, position: u32, columns: u32, prefill: bool) {
        assert!(self.loaded.contains(&units), "{units:?} is not loaded");
        let most = match prefill {
            true => self.class.chunk_columns - position % self.class.chunk_columns,
            false => NumericClass::MAX_DECODE_COLUMNS,
        };
        assert!((1..=most).contains(&columns));
        assert!(position + columns <= self.class.context_columns);
        let seen = self.seen.get(&units).map_or(0, Vec::len);
        let is_head = units.start == self.head;
        assert!(
            is_head || position as usize <= seen,
            "a gap at {position} after {seen}"
        );
    }

    /// A column is (token, sum of units passed, mixture of the tokens before, ...).
    fn forward(&mut self, units: UnitRange, position: u32, hidden: &mut [f32]) {
        let seen = self.seen.entry(units).or_default();
        if units.start != self.head {
            seen.truncate(position as usize);
        }
        for column in hidden.chunks_exact_mut(WIDTH) {
            seen.push(column[0]);
            for unit in units.start.max(1)..units.end.min(self.head) {
                column[1] += unit as f32;
                column[2] = seen_so_far(seen, column[2], unit);
            }
        }
    }

    fn wanted(&self, units: UnitRange, want: WantColumns, hidden: &[f32]) -> Vec<f32> {
        let columns = match want {
            WantColumns::Every => hidden,
            WantColumns::Last => &hidden[hidden.len() - WIDTH..],
            WantColumns::Nothing => &[],
        };
        match units.end > self.head && !columns.is_empty() {
            true => logits(columns),
            false => columns.to_vec(),
        }
    }
}

fn seen_so_far(seen: &[f32], mixture: f32, unit: u32) -> f32 {
    let weighted = (1..).zip(seen).map(|(at, id)| at as f32 * id);
    (weighted.sum::<f32>() + mixture * 3.0 + unit as f32) % 97.0
}

fn embed(tokens: &[u32]) -> Vec<f32> {
    let mut hidden = vec![0.0; tokens.len() * WIDTH];
    for (column, token) in hidden.chunks_exact_mut(WIDTH).zip(tokens) {
        column[0] = *token as f32;
    }
    hidden
}

fn logits(column: &[f32]) -> Vec<f32> {
    let id = (column[0] + column[1] + column[2]) as u32 % VOCABULARY;
    (0..VOCABULARY)
        .map(|other| if other == id { 1.0 } else { 0.0 })
        .collect()
}

pub fn largest(logits: &[f32]) -> u32 {
    let most = logits.iter().copied().fold(f32::MIN, f32::max);
    logits.iter().position(|logit| *logit == most).unwrap() as u32
}

/// What a model of `blocks` blocks answers, without any room.
pub fn answer_to(blocks: u32, prompt: &[u32], max_tokens: usize) -> Vec<u32> {
    let mut ids = prompt.to_vec();
    while ids.len() < prompt.len() + max_tokens {
        let mut seen = Vec::new();
        let mut column = vec![0.0; 3];
        for id in &ids {
            seen.push(*id as f32);
            column = vec![*id as f32, 0.0, 0.0];
            for unit in 1..=blocks {
                column[1] += unit as f32;
                column[2] = seen_so_far(&seen, column[2], unit);
            }
        }
        match largest(&logits(&column)) {
            0 => break,
            id => ids.push(id),
        }
    }
    ids.split_off(prompt.len())
}
