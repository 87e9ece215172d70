//! A model from a file, and executors loaded with it.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use engine::{CpuExecutor, Executor, Setup};
use model::{
    Graph, NumericClass, UnitKind, UnitRange, WireDtype, arch, gguf,
    hugging_face::{Target, VirtualFile, safetensors},
    segment,
};
use text::Vocabulary;

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

/// A model of random weights with what torch computes from them: `tests/fixtures/tiny-NAME`.
pub struct Tiny {
    pub model: Model,
    pub reference: serde_json::Value,
}

impl Tiny {
    /// Its GGUF file, or where none exists its repository.
    pub fn open(name: &str) -> Self {
        let folder = workspace(&format!("tests/fixtures/tiny-{name}"));
        let gguf = folder.join("model-f32.gguf");
        Self {
            model: match gguf.exists() {
                true => Model::open(&gguf),
                false => Model::repository(&folder, Target::Keep),
            },
            reference: json(&format!("tiny-{name}/reference.json")),
        }
    }

    pub fn prompt(&self) -> Vec<u32> {
        ids(&self.reference["input_ids"])
    }

    /// Cuts between layers, and the hidden state that torch has there in the last column. What it recorded after the last layer is
    /// behind the final norm.
    pub fn layers(&self) -> Vec<(u32, Vec<f32>)> {
        let units = &self.model.graph.units;
        let begins_a_layer = |cut: &u32| units[*cut as usize].kind == UnitKind::Attention;
        let cuts = (1..units.len() as u32).filter(begins_a_layer);
        let states = self.reference["hidden_after_layer_pos_last"].as_array();
        let mut layers: Vec<_> = cuts.zip(states.unwrap().iter().map(floats)).collect();
        assert_eq!(layers.len() + 1, states.unwrap().len());
        // Without a final norm, each layer ends with a norm that lies behind the cut.
        let weights = &self.model.graph.weights;
        if !weights
            .iter()
            .any(|weight| weight.name == "output_norm.weight")
        {
            layers.truncate(1);
        }
        layers
    }
}

/// The default model: `./test` downloads it before it runs tests.
pub fn smollm2() -> Model {
    let default = || workspace("models/SmolLM2-135M-Instruct.Q4_1.gguf");
    Model::open(&std::env::var_os("LINGUALINKED_MODEL").map_or_else(default, PathBuf::from))
}

impl Model {
    /// A Hugging Face repository, read as one GGUF file.
    pub fn repository(folder: &Path, target: Target) -> Self {
        let source = std::fs::read(folder.join("model.safetensors")).unwrap();
        let config = std::fs::read(folder.join("config.json")).unwrap();
        let tensors = safetensors::parse(&source, source.len() as u64).unwrap();
        let file = VirtualFile::new(&config, &[tensors], target, vec![]).unwrap();
        let fetch = async |_, range: Range<u64>| {
            Ok::<_, ()>(source[range.start as usize..range.end as usize].to_vec())
        };
        let bytes = pollster::block_on(file.read(0..file.file_bytes(), fetch));
        Self::of(bytes.unwrap(), folder)
    }

    fn open(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|error| {
            panic!(
                "{}: {error}\nRun ./run once to download the model, or set LINGUALINKED_MODEL.",
                path.display()
            )
        });
        Self::of(bytes, path)
    }

    fn of(bytes: Vec<u8>, path: &Path) -> Self {
        let gguf::Progress::Done(header) = gguf::parse(&bytes, Some(bytes.len() as u64)).unwrap()
        else {
            panic!("{} ends within its header", path.display());
        };
        Self {
            graph: Arc::new(arch::build(&header).unwrap()),
            vocabulary: Vocabulary::of(&header.metadata),
            bytes,
        }
    }

    /// A CPU executor of `stages`, ready to run.
    pub fn executor(&self, stages: &[UnitRange], class: NumericClass) -> CpuExecutor {
        let setup = Setup {
            graph: self.graph.clone(),
            stages: stages.to_vec(),
            class,
            slots: 1,
        };
        self.load(CpuExecutor::new(setup).unwrap(), stages)
    }

    /// `executor` with the weights of `stages`, ready to run.
    pub fn load<E: Executor>(&self, mut executor: E, stages: &[UnitRange]) -> E {
        for id in segment::weights(&self.graph, stages) {
            let range = &self.graph.weights[id.0 as usize].range;
            let bytes = &self.bytes[range.start as usize..range.end as usize];
            executor.put_rows(id, 0, bytes).unwrap();
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

/// That no element is further from what is expected than `bound`.
pub fn assert_close(found: &[f32], expected: &[f32], what: &str, bound: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let errors = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let error = errors.fold(0.0, f32::max);
    assert!(error <= bound, "{what}: largest error {error}");
}
