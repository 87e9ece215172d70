//! A model from a file, and executors loaded with it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use engine::{CpuExecutor, Executor, Setup};
use model::{DType, Graph, NumericClass, UnitRange, WeightId, WireDtype};

use super::llama::{Shape, llama};

pub struct Model {
    pub graph: Arc<Graph>,
    bytes: Vec<u8>,
}

pub fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// A JSON fixture.
pub fn json(path: &str) -> serde_json::Value {
    let path = workspace("tests/fixtures").join(path);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

pub fn tiny_llama() -> Model {
    Model::open(&workspace("tests/fixtures/tiny-llama/model-f32.gguf"))
}

/// The default model: `./test` downloads it before it runs tests.
pub fn smollm2() -> Model {
    let default = || workspace("models/SmolLM2-135M-Instruct.Q4_1.gguf");
    Model::open(&std::env::var_os("LINGUALINKED_MODEL").map_or_else(default, PathBuf::from))
}

impl Model {
    fn open(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|error| {
            panic!(
                "{}: {error}\nRun ./run once to download the model, or set LINGUALINKED_MODEL.",
                path.display()
            )
        });
        Self {
            graph: Arc::new(read_graph(&bytes)),
            bytes,
        }
    }

    /// A CPU executor of `stages`, ready to run.
    pub fn executor(&self, stages: &[UnitRange], class: NumericClass) -> CpuExecutor {
        let setup = Setup {
            graph: self.graph.clone(),
            stages: stages.to_vec(),
            class,
        };
        let mut executor = CpuExecutor::new(setup).unwrap();
        for (index, weight) in self.graph.weights.iter().enumerate() {
            let id = WeightId(index as u32);
            let units = self.graph.units.iter().zip(0..);
            let mut reading = units
                .filter(|(unit, _)| unit.weights.contains(&id))
                .map(|(_, index)| index);
            if reading.any(|unit| stages.iter().any(|stage| stage.contains(unit))) {
                let bytes = &self.bytes[weight.range.start as usize..weight.range.end as usize];
                executor.put_rows(id, 0, bytes).unwrap();
            }
        }
        pollster::block_on(executor.finish_loading()).unwrap();
        executor
    }

    pub fn all_units(&self) -> UnitRange {
        UnitRange {
            start: 0,
            end: self.graph.units.len() as u32,
        }
    }
}

pub fn class(wire: WireDtype, context_columns: u32) -> NumericClass {
    NumericClass {
        wire,
        chunk_columns: NumericClass::DEFAULT_CHUNK_COLUMNS,
        context_columns,
    }
}

pub fn floats(value: &serde_json::Value) -> Vec<f32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_f64().unwrap() as f32)
        .collect()
}

pub fn ids(value: &serde_json::Value) -> Vec<u32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_u64().unwrap() as u32)
        .collect()
}

pub fn argmax(logits: &[f32]) -> u32 {
    let best = logits
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(b.1))
        .unwrap();
    best.0 as u32
}

// ---- until crate `model` reads headers ----

fn read_graph(bytes: &[u8]) -> Graph {
    let mut r = Reader { bytes, at: 8 };
    let (tensors, fields) = (r.u64(), r.u64());
    let fields: std::collections::BTreeMap<String, f64> = (0..fields)
        .map(|_| {
            (r.string(), {
                let t = r.u32();
                r.value(t)
            })
        })
        .collect();
    let tensors: Vec<_> = (0..tensors)
        .map(|_| {
            let name = r.string();
            let dims: Vec<u64> = (0..r.u32()).map(|_| r.u64()).collect();
            (name, dims, DType::from_gguf(r.u32()).unwrap(), r.u64())
        })
        .collect();
    let data = (r.at as u64).next_multiple_of(32);
    let field = |key: &str| fields[&format!("llama.{key}")];
    let find = |name: &str| tensors.iter().find(|tensor| tensor.0 == name);
    let (hidden, heads) = (
        field("embedding_length") as u32,
        field("attention.head_count") as u32,
    );
    let mut graph = llama(Shape {
        hidden,
        feed_forward: field("feed_forward_length") as u32,
        heads,
        kv_heads: field("attention.head_count_kv") as u32,
        head_dim: hidden / heads,
        layers: field("block_count") as u32,
        vocabulary: find("token_embd.weight").unwrap().1[1] as u32,
        embedding: find("token_embd.weight").unwrap().2,
        matrices: find("blk.0.ffn_up.weight").unwrap().2,
        tied: find("output.weight").is_none(),
        eps: field("attention.layer_norm_rms_epsilon") as f32,
        freq_base: field("rope.freq_base") as f32,
    });
    for weight in &mut graph.weights {
        let (_, _, dtype, offset) = find(&weight.name).unwrap();
        weight.dtype = *dtype;
        weight.range = data + offset
            ..data + offset + dtype.row_bytes(weight.cols).unwrap() * u64::from(weight.rows);
    }
    graph
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        self.at += N;
        self.bytes[self.at - N..self.at].try_into().unwrap()
    }
    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }
    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
    fn string(&mut self) -> String {
        let len = self.u64() as usize;
        self.at += len;
        String::from_utf8(self.bytes[self.at - len..self.at].to_vec()).unwrap()
    }
    fn value(&mut self, kind: u32) -> f64 {
        match kind {
            4 | 5 => f64::from(self.u32()),
            6 => f64::from(f32::from_le_bytes(self.take())),
            7 => f64::from(self.take::<1>()[0]),
            8 => {
                self.string();
                0.0
            }
            9 => {
                let (kind, len) = (self.u32(), self.u64());
                for _ in 0..len {
                    self.value(kind);
                }
                0.0
            }
            other => panic!("metadata type {other}"),
        }
    }
}
