//! An engine that adds up what it sees: its answers depend on every token, every unit, every cached row, and on the kernels of the
//! numeric contract, and it refuses gaps.

use std::{collections::BTreeMap, sync::Arc};

use model::{
    CacheId, CacheSpec, DType, EngineKind, Graph, NumericClass, Unit, UnitKind, UnitRange, ValueId,
    Weight, WeightId, WireDtype, segment,
};
use plan::EngineProfile;
use session::{
    Computed, Job,
    seam::{JobInput, Progress, WantColumns},
};

use super::{Compute, Results, Storage};
use crate::{
    network::Network,
    room::{Model, Room, greedy},
};

/// Numeric class of the rooms here.
pub const CLASS: NumericClass = NumericClass {
    wire: WireDtype::F32,
    chunk_columns: 4,
    context_columns: 64,
};
/// Blocks of the model of the rooms here.
pub const BLOCKS: u32 = 6;
/// Token ids below this.
pub const VOCABULARY: u32 = 101;
/// Bytes of the weights of one unit.
pub const UNIT_BYTES: u64 = 1 << 20;
/// Wide enough that a chunk needs several slices.
const WIDTH: usize = 600;
/// Numbers stay below it, so that sums are exact.
const MODULUS: f32 = 97.0;

/// Virtual ms of measuring, of a call, and of bringing one unit's weights from the network or from storage.
const MEASURE_MS: u64 = 50;
const CALL_MS: f64 = 0.5;
const FETCH_MS: u64 = 20;
const READ_MS: u64 = 2;

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
        memory: None,
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

/// The engine.
pub struct Adding {
    class: NumericClass,
    head: u32,
    loaded: Vec<UnitRange>,
    /// Cached rows of every unit that is loaded, by slot.
    rows: BTreeMap<u32, Vec<Vec<f32>>>,
    storage: Storage,
    /// ms of one unit for one column.
    ms_per_unit: f64,
}

impl Adding {
    /// Nothing is loaded yet.
    pub fn new(
        graph: &Arc<Graph>,
        class: NumericClass,
        storage: Storage,
        ms_per_unit: f64,
    ) -> Self {
        Self {
            class,
            head: graph.units.len() as u32 - 1,
            loaded: Vec::new(),
            rows: BTreeMap::new(),
            storage,
            ms_per_unit,
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
                .map(|kind| (kind, self.ms_per_unit))
                .collect()
        };
        EngineProfile {
            engine,
            variant: "sum".to_owned(),
            decode_ms_per_unit: ms(),
            verify_ms_per_unit: BTreeMap::new(),
            chunk_ms_per_unit: ms(),
            attention_ms_per_cached_column: 0.0,
            ms_per_call: CALL_MS,
        }
    }

    fn load(&mut self, stages: Vec<UnitRange>, slots: u32) -> Results {
        let units = || stages.iter().flat_map(|units| units.start..units.end);
        self.rows
            .retain(|unit, _| units().any(|held| held == *unit));
        let mut results = Vec::new();
        let total = UNIT_BYTES * units().count() as u64;
        let mut done = 0;
        let mut fetched_bytes = 0;
        for unit in units() {
            done += UNIT_BYTES;
            if self.rows.contains_key(&unit) {
                continue;
            }
            let fetched = self.storage.borrow_mut().bring(unit, UNIT_BYTES);
            fetched_bytes += if fetched { UNIT_BYTES } else { 0 };
            self.rows.insert(unit, Vec::new());
            let progress = Computed::LoadProgress(Progress {
                bytes_done: done,
                bytes_total: total,
                bytes_fetched: fetched_bytes,
                ..Progress::default()
            });
            results.push((if fetched { FETCH_MS } else { READ_MS }, progress));
        }
        for rows in self.rows.values_mut() {
            rows.resize(slots as usize, Vec::new());
        }
        self.loaded = stages;
        let cached = |units: &UnitRange| {
            let rows = |unit, slot| {
                let rows = self
                    .rows
                    .get(&unit)
                    .and_then(|rows| rows.get(slot as usize));
                rows.map_or(0, Vec::len) as u32
            };
            let in_slot = |slot| (units.start..units.end).map(move |unit| rows(unit, slot));
            (0..slots)
                .map(|slot| in_slot(slot).min().unwrap_or(0))
                .collect()
        };
        let loaded = Computed::Loaded {
            resident_bytes: self.resident_bytes(),
            cached_columns: self.loaded.iter().map(cached).collect(),
        };
        results.push((READ_MS, loaded));
        results
    }

    fn check(&self, units: UnitRange, position: u32, columns: u32, prefill: bool) {
        assert!(self.loaded.contains(&units), "{units:?} is not loaded");
        let most = match prefill {
            true => self.class.chunk_columns - position % self.class.chunk_columns,
            false => NumericClass::MAX_DECODE_COLUMNS,
        };
        assert!((1..=most).contains(&columns));
        assert!(position + columns <= self.class.context_columns);
    }

    /// A column is (token, what it mixed so far, nothing else): every unit mixes in all columns up to it.
    fn forward(
        &mut self,
        units: UnitRange,
        slot: u32,
        position: u32,
        prefill: bool,
        hidden: &mut [f32],
    ) {
        for unit in units.start..units.end {
            if unit == self.head {
                continue;
            }
            let rows = self.rows.get_mut(&unit).unwrap();
            let rows = rows.get_mut(slot as usize).unwrap();
            let cached = rows.len();
            assert!(
                position as usize <= cached,
                "a gap at {position} after {cached}"
            );
            rows.truncate(position as usize);
            for column in hidden.chunks_exact_mut(WIDTH) {
                let kernel = match prefill {
                    // Where its call started is in the bits, as it may be in those of a real kernel.
                    true => 1.0 + (position % 89) as f32,
                    false => 2.0,
                };
                rows.push((column[0] + column[1] + kernel) % MODULUS);
                let weighted = (1_u16..)
                    .zip(rows.iter())
                    .map(|(at, row)| f32::from(at) * row);
                column[1] = (weighted.sum::<f32>() + 3.0 * column[1] + unit as f32) % MODULUS;
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

impl Compute for Adding {
    fn work(&mut self, work: Job) -> Results {
        match work {
            Job::Measure { only, .. } => {
                let engines = vec![self.profile(only.unwrap_or(EngineKind::Cpu))];
                vec![(MEASURE_MS, Computed::Measured { engines })]
            }
            Job::Load { stages, slots, .. } => self.load(stages, slots),
            Job::Fetch { stages } => {
                let units = stages.iter().flat_map(|units| units.start..units.end);
                let mut storage = self.storage.borrow_mut();
                let fetched = units
                    .filter(|unit| storage.bring(*unit, UNIT_BYTES))
                    .count();
                vec![(FETCH_MS * fetched as u64, Computed::Fetched)]
            }
            Job::Run {
                units,
                slot,
                position,
                columns,
                prefill,
                want,
                input,
            } => {
                self.check(units, position, columns, prefill);
                let mut hidden = match input {
                    JobInput::Tokens(tokens) => embed(&tokens),
                    JobInput::Hidden(hidden) => hidden,
                };
                assert_eq!(hidden.len(), columns as usize * WIDTH);
                self.forward(units, slot, position, prefill, &mut hidden);
                let values = self.wanted(units, want, &hidden);
                let compute_ms = CALL_MS + self.ms_per_unit * f64::from(units.len());
                vec![(
                    compute_ms.ceil() as u64,
                    Computed::Ran { values, compute_ms },
                )]
            }
        }
    }

    fn lose_everything(&mut self) {
        self.loaded.clear();
        self.rows.clear();
    }

    fn resident_bytes(&self) -> u64 {
        UNIT_BYTES * self.rows.len() as u64
    }
}

fn embed(tokens: &[u32]) -> Vec<f32> {
    let mut hidden = vec![0.0; tokens.len() * WIDTH];
    for (column, token) in hidden.chunks_exact_mut(WIDTH).zip(tokens) {
        column[0] = *token as f32;
    }
    hidden
}

fn logits(column: &[f32]) -> Vec<f32> {
    let id = (3.0 * column[0] + 5.0 * column[1]) as u32 % VOCABULARY;
    let one_hot = |other| if other == id { 1.0 } else { 0.0 };
    (0..VOCABULARY).map(one_hot).collect()
}

/// What a page offers to hold so many units, and their KV.
pub fn usable_bytes(units: u64) -> u64 {
    units * UNIT_BYTES + segment::scratch_bytes(&graph(BLOCKS), CLASS.chunk_columns)
}

/// A host alone, with room for so many units, measured.
pub fn new_room(units: u64) -> Room {
    let model = Model::Adding(Arc::new(graph(BLOCKS)), 1.0);
    Room::open(model, CLASS, &[usable_bytes(units)], Network::new(1, 0))
}

/// A room that loaded, of phones with room for so many units, the host first.
pub fn room_of(units: &[u64]) -> Room {
    let (host, peers) = units.split_first().unwrap();
    let mut room = new_room(*host);
    for units in peers {
        room.join(usable_bytes(*units));
    }
    room.run(1_000);
    room.begin();
    room
}

/// What the model of the rooms here answers.
pub fn answer_to(prompt: &[u32], max_tokens: usize) -> Vec<u32> {
    undisturbed(BLOCKS, CLASS, prompt, max_tokens)
}

/// What a model of `blocks` blocks answers when one phone runs it undisturbed.
pub fn undisturbed(
    blocks: u32,
    class: NumericClass,
    prompt: &[u32],
    max_tokens: usize,
) -> Vec<u32> {
    let graph = Arc::new(graph(blocks));
    let mut engine = Adding::new(&graph, class, Storage::default(), 1.0);
    let units = UnitRange {
        start: 0,
        end: blocks + 2,
    };
    engine.load(vec![units], 1);
    let mut ids = prompt.to_vec();
    let mut entered = 0;
    while ids.len() < prompt.len() + max_tokens {
        let prefill = entered < prompt.len();
        let grid = (entered / class.chunk_columns as usize + 1) * class.chunk_columns as usize;
        let end = if prefill {
            grid.min(prompt.len())
        } else {
            ids.len()
        };
        let mut hidden = embed(&ids[entered..end]);
        engine.forward(units, 0, entered as u32, prefill, &mut hidden);
        entered = end;
        if end < ids.len() {
            continue;
        }
        let id = greedy(&logits(&hidden[hidden.len() - WIDTH..]));
        ids.push(id);
        if entered >= class.context_columns as usize {
            break;
        }
    }
    ids.split_off(prompt.len())
}
