//! A model from a file, and executors loaded with it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use engine::{CpuExecutor, Executor, Setup};
use model::{Graph, NumericClass, UnitRange, WeightId, WireDtype};
use text::Vocabulary;

use super::gguf::File;

pub struct Model {
    pub graph: Arc<Graph>,
    pub vocabulary: Vocabulary,
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
        let file = File::parse(&bytes);
        Self {
            graph: Arc::new(file.graph()),
            vocabulary: file.vocabulary(),
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
