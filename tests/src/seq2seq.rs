//! An encoder and its decoder, cut over phones that send each other what the transmission map says: no ring, no host, no relay.
//!
//! Rooms do not run such models yet; this shows that graph, cuts, map and executor carry dependencies between units that are not neighbours.

use std::{collections::BTreeMap, sync::Arc};

use engine::{CpuExecutor, Executor, Input, Phase, Setup, Step, Want};
use model::{
    DType, Graph, NumericClass, UnitRange, ValueId, WeightId, WireDtype, arch,
    gguf::{self, Value, write},
    transmission::{self, Transmission},
    wire,
};
use pollster::block_on;

use crate::{ModelFile, random::Random};

/// Shape of a T5 of random weights.
#[derive(Clone, Copy)]
pub struct T5 {
    /// Elements of the residual stream.
    pub hidden: u32,
    /// Elements between the maps of an MLP.
    pub feed_forward: u32,
    /// Heads.
    pub heads: u32,
    /// Elements per head.
    pub head_dim: u32,
    /// Blocks of the encoder, and as many of the decoder.
    pub blocks: u32,
    /// Buckets of distances.
    pub buckets: u32,
    /// Tokens.
    pub vocabulary: u32,
    /// As Flan-T5: gated MLPs, a head of its own. Else the head is the embedding's table.
    pub flan: bool,
}

/// Added to the mean square.
pub const EPS: f32 = 1e-6;
/// Longest context.
pub const CONTEXT: u32 = 64;

impl T5 {
    /// The file.
    pub fn file(self, seed: u64) -> Arc<ModelFile> {
        let number = |key: &str, value: u32| (format!("t5.{key}"), Value::Integer(value.into()));
        let fields = [
            (
                "general.architecture".to_owned(),
                Value::Text("t5".to_owned()),
            ),
            number("embedding_length", self.hidden),
            number("feed_forward_length", self.feed_forward),
            number("block_count", self.blocks),
            number("context_length", CONTEXT),
            number("attention.head_count", self.heads),
            number("attention.key_length", self.head_dim),
            number("attention.value_length", self.head_dim),
            number("attention.relative_buckets_count", self.buckets),
            (
                "t5.attention.layer_norm_rms_epsilon".to_owned(),
                Value::Float(EPS.into()),
            ),
        ];
        let mut random = Random(seed);
        let (mut tensors, mut weights, mut offset) = (Vec::new(), Vec::new(), 0);
        for (name, rows, cols) in self.tensors() {
            tensors.push(write::Announcement {
                name,
                dtype: DType::F32,
                rows,
                cols,
                offset,
            });
            let bytes = 4 * u64::from(rows * cols);
            for _ in 0..rows * cols {
                let uniform = random.below(20_001) as f32 / 10_000.0 - 1.0;
                let element = match rows {
                    1 => 1.0 + 0.1 * uniform,
                    _ => uniform * (3.0 / cols as f32).sqrt(),
                };
                weights.extend(element.to_le_bytes());
            }
            offset = write::aligned(offset + bytes);
            weights.resize(offset as usize, 0);
        }
        let header = write::header(&fields, &tensors);
        let bytes = [header, weights].concat();
        let gguf::Progress::Done(header) = gguf::parse(&bytes, Some(bytes.len() as u64)).unwrap()
        else {
            panic!("the header is whole");
        };
        Arc::new(ModelFile {
            graph: Arc::new(arch::build(&header).unwrap()),
            header_bytes: header.header_bytes,
            bytes,
        })
    }

    /// Name, rows, elements of a row.
    fn tensors(self) -> Vec<(String, u32, u32)> {
        let (hidden, width) = (self.hidden, self.heads * self.head_dim);
        let mut tensors = vec![
            ("token_embd.weight".to_owned(), self.vocabulary, hidden),
            ("enc.output_norm.weight".to_owned(), 1, hidden),
            ("dec.output_norm.weight".to_owned(), 1, hidden),
        ];
        if self.flan {
            tensors.push(("output.weight".to_owned(), self.vocabulary, hidden));
        }
        let attention = ["attn", "cross_attn"];
        for (side, kinds) in [("enc", &attention[..1]), ("dec", &attention[..])] {
            let distances = format!("{side}.blk.0.attn_rel_b.weight");
            tensors.push((distances, self.buckets, self.heads));
            for block in 0..self.blocks {
                let mut push = |part: &str, rows: u32, cols: u32| {
                    tensors.push((format!("{side}.blk.{block}.{part}.weight"), rows, cols));
                };
                for kind in kinds {
                    push(&format!("{kind}_norm"), 1, hidden);
                    for map in ["q", "k", "v"] {
                        push(&format!("{kind}_{map}"), width, hidden);
                    }
                    push(&format!("{kind}_o"), hidden, width);
                }
                push("ffn_norm", 1, hidden);
                push("ffn_up", self.feed_forward, hidden);
                if self.flan {
                    push("ffn_gate", self.feed_forward, hidden);
                }
                push("ffn_down", hidden, self.feed_forward);
            }
        }
        tensors
    }
}

/// A message from phone to phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// What it carries.
    pub value: ValueId,
    /// Number of a phone.
    pub from: usize,
    /// Number of a phone.
    pub to: usize,
    /// On the wire.
    pub bytes: usize,
}

/// Phones with segments of one model.
pub struct Phones {
    graph: Arc<Graph>,
    class: NumericClass,
    map: Vec<Transmission>,
    phones: Vec<Phone>,
    /// Everything that went from phone to phone.
    pub sent: Vec<Sent>,
}

struct Phone {
    executor: CpuExecutor,
    stages: Vec<UnitRange>,
    /// What came, or was made here, as executors take it.
    arrived: BTreeMap<ValueId, Vec<f32>>,
}

impl Phones {
    /// One phone for each list of stages, which together are the model.
    pub fn new(file: &ModelFile, wire: WireDtype, stages: &[Vec<UnitRange>]) -> Self {
        let class = NumericClass {
            wire,
            chunk_columns: 32,
            context_columns: CONTEXT,
        };
        let phone = |stages: &Vec<UnitRange>| {
            let setup = Setup {
                graph: Arc::clone(&file.graph),
                stages: stages.clone(),
                class,
                slots: 1,
            };
            let mut executor = CpuExecutor::new(setup).unwrap();
            for id in model::segment::weights(&file.graph, stages) {
                let WeightId(index) = id;
                let range = file.graph.weights[index as usize].range.clone();
                let bytes = &file.bytes[range.start as usize..range.end as usize];
                executor.put_rows(id, 0, bytes).unwrap();
            }
            block_on(executor.finish_loading()).unwrap();
            Phone {
                executor,
                stages: stages.clone(),
                arrived: BTreeMap::new(),
            }
        };
        Self {
            graph: Arc::clone(&file.graph),
            class,
            map: transmission::map(&file.graph, wire),
            phones: stages.iter().map(phone).collect(),
            sent: Vec::new(),
        }
    }

    /// Ids of `tokens` tokens, each the likeliest that is not among the last three (random weights like one above all), and their logits.
    pub fn answer(&mut self, source: &[u32], tokens: usize) -> (Vec<u32>, Vec<Vec<f32>>) {
        self.encode(source);
        let (mut ids, mut all) = (vec![0], Vec::new());
        for position in 0..tokens {
            let logits = self.decode(ids[position], position as u32);
            let recent = &ids[ids.len().saturating_sub(3)..];
            let fresh = (0..logits.len()).filter(|id| !recent.contains(&(*id as u32)));
            let best = fresh.max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
            ids.push(best.unwrap() as u32);
            all.push(logits);
        }
        (ids, all)
    }

    /// The encoder's pass; every phone with decoder units gets its output.
    pub fn encode(&mut self, source: &[u32]) {
        let columns = source.len() as u32;
        let step = |stage| Step {
            stage,
            slot: 0,
            position: 0,
            columns,
            phase: Phase::Prefill,
            want: Want::EveryColumn,
        };
        let decoder = self.decoder_start();
        for (phone, stage) in self.in_order(0..decoder) {
            self.run(phone, step(stage), source);
        }
        let memory = self.graph.memory.unwrap();
        for (phone, stage) in self.in_order(decoder..u32::MAX) {
            let Phone {
                executor, arrived, ..
            } = &mut self.phones[phone];
            if self.map.iter().any(|sent| {
                sent.value == memory && sent.consumers.iter().any(|unit| stage.contains(*unit))
            }) {
                block_on(executor.remember(stage, 0, &arrived[&memory])).unwrap();
            }
        }
    }

    /// One token through the decoder: its logits.
    pub fn decode(&mut self, token: u32, position: u32) -> Vec<f32> {
        let mut logits = Vec::new();
        for (phone, stage) in self.in_order(self.decoder_start()..u32::MAX) {
            let step = Step {
                stage,
                slot: 0,
                position,
                columns: 1,
                phase: Phase::Decode,
                want: Want::LastColumn,
            };
            logits = self.run(phone, step, &[token]);
        }
        logits
    }

    /// First unit of the decoder.
    pub fn decoder_start(&self) -> u32 {
        let units = self.graph.units.iter().enumerate().skip(1);
        let mut starts = units.filter(|(_, unit)| unit.input.is_none());
        starts.next().unwrap().0 as u32
    }

    /// Stages among these units with their phones, as the values go.
    fn in_order(&self, units: core::ops::Range<u32>) -> Vec<(usize, UnitRange)> {
        let all = self.phones.iter().enumerate();
        let mut stages: Vec<_> = all
            .flat_map(|(phone, held)| held.stages.iter().map(move |stage| (phone, *stage)))
            .filter(|(_, stage)| units.contains(&stage.start))
            .collect();
        stages.sort_by_key(|(_, stage)| stage.start);
        stages
    }

    /// Runs a stage on what arrived at its phone, and sends its output to whom the map says.
    fn run(&mut self, phone: usize, step: Step, tokens: &[u32]) -> Vec<f32> {
        let units = &self.graph.units;
        let enters = units[step.stage.start as usize].input;
        let leaves = units[step.stage.end as usize - 1].output;
        let Phone {
            executor, arrived, ..
        } = &mut self.phones[phone];
        let input = match enters {
            Some(value) => Input::Hidden(&arrived[&value]),
            None => Input::Tokens(tokens),
        };
        let mut out = Vec::new();
        block_on(executor.run(&step, input, &mut out)).unwrap();
        self.send(phone, leaves, &out);
        out
    }

    fn send(&mut self, from: usize, value: ValueId, hidden: &[f32]) {
        let consumers = self.map.iter().find(|sent| sent.value == value);
        let consumers = consumers.map_or(&[][..], |sent| &sent.consumers);
        let width = self.graph.hidden_width;
        for (to, phone) in self.phones.iter_mut().enumerate() {
            let mut held = phone.stages.iter();
            if !held.any(|stage| consumers.iter().any(|unit| stage.contains(*unit))) {
                continue;
            }
            let values = phone.arrived.entry(value).or_default();
            values.clear();
            if to == from {
                values.extend(hidden);
                continue;
            }
            let mut bytes = Vec::new();
            wire::encode(self.class.wire, width, hidden, &mut bytes);
            let columns = hidden.len() as u32 / width;
            wire::decode(self.class.wire, width, columns, &bytes, values).unwrap();
            self.sent.push(Sent {
                value,
                from,
                to,
                bytes: bytes.len(),
            });
        }
    }
}
