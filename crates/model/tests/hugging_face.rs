//! Repositories read as GGUF files, against GGUF files that other programs made of them.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use std::{ops::Range, path::PathBuf};

use model::{
    arch,
    gguf::{self, Header, Progress},
    hugging_face::{self, Target, VirtualFile, safetensors},
    manifest,
};
use pollster::block_on;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/fixtures/tiny-{name}"))
}

fn header(bytes: &[u8]) -> Header {
    match gguf::parse(bytes, Some(bytes.len() as u64)).unwrap() {
        Progress::Done(header) => *header,
        Progress::NeedMore { .. } => panic!("the whole file is there"),
    }
}

struct Repository {
    file: VirtualFile,
    source: Vec<u8>,
}

impl Repository {
    fn open(name: &str, target: Target) -> Self {
        let source = std::fs::read(folder(name).join("model.safetensors")).unwrap();
        let config = std::fs::read(folder(name).join("config.json")).unwrap();
        let tensors = safetensors::parse(&source, source.len() as u64).unwrap();
        let file = VirtualFile::new(&config, &[tensors], target, vec![]).unwrap();
        Self { file, source }
    }

    fn read(&self, range: Range<u64>) -> Vec<u8> {
        let fetch = async |file: usize, range: Range<u64>| {
            assert_eq!(file, 0);
            Ok::<_, ()>(self.source[range.start as usize..range.end as usize].to_vec())
        };
        block_on(self.file.read(range, fetch)).unwrap()
    }

    fn all(&self) -> Vec<u8> {
        self.read(0..self.file.file_bytes())
    }
}

#[test]
fn every_tensor_has_the_bytes_that_other_converters_give_it() {
    for name in ["llama", "qwen2", "qwen3", "gemma3", "gpt2", "bloom", "phi3"] {
        let ours = Repository::open(name, Target::Keep).all();
        let theirs = std::fs::read(folder(name).join("model-f32.gguf")).unwrap();
        let (our_header, their_header) = (header(&ours), header(&theirs));
        assert_eq!(
            our_header.tensors.len(),
            their_header.tensors.len(),
            "{name}"
        );
        for tensor in &their_header.tensors {
            let own = our_header.tensor(&tensor.name).unwrap();
            assert_eq!((own.rows, own.cols), (tensor.rows, tensor.cols));
            let bytes = |file: &[u8], range: &Range<u64>| {
                file[range.start as usize..range.end as usize].to_vec()
            };
            let same = bytes(&ours, &own.range) == bytes(&theirs, &tensor.range);
            assert!(same, "{name} {}", tensor.name);
        }
        // Weights of both graphs differ in where they lie only.
        let graph = |header: &Header| {
            let mut graph = arch::build(header).unwrap();
            graph
                .weights
                .iter_mut()
                .for_each(|weight| weight.range = 0..0);
            graph
        };
        let (ours, theirs) = (graph(&our_header), graph(&their_header));
        assert_eq!(ours.ops, theirs.ops, "{name}");
        assert_eq!(ours.weights, theirs.weights, "{name}");
    }
}

#[test]
fn any_range_is_that_of_the_whole_file() {
    for (name, target) in [
        ("gpt2", Target::Keep),
        ("bloom", Target::Q4_0),
        ("llama31", Target::Q8_0),
    ] {
        let repository = Repository::open(name, target);
        let whole = repository.all();
        assert_eq!(whole.len() as u64, repository.file.file_bytes());
        let mut start = 0;
        for step in (1..).map(|step| step * 7919 % 20_011 + 1).take(60) {
            let end = (start + step).min(whole.len());
            let part = repository.read(start as u64..end as u64);
            assert!(part == whole[start..end], "{name} {start}..{end}");
            start = if end == whole.len() { 3 } else { end };
        }
        let header = header(&whole);
        let graph = arch::build(&header).unwrap();
        for chunk in manifest::layout(&header, &graph).unwrap() {
            let part = repository.read(chunk.clone());
            assert!(part == whole[chunk.start as usize..chunk.end as usize]);
        }
    }
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let source = std::fs::read(folder("llama").join("model.safetensors")).unwrap();
    let config = std::fs::read_to_string(folder("llama").join("config.json")).unwrap();
    let tensors = safetensors::parse(&source, source.len() as u64).unwrap();
    let refused = |config: &str, tensors| {
        VirtualFile::new(config.as_bytes(), &[tensors], Target::Keep, vec![]).unwrap_err()
    };
    let other = config.replace("\"llama\"", "\"mamba\"");
    assert!(
        refused(&other, tensors.clone())
            .to_string()
            .contains("mamba")
    );
    let yarn = config.replace("\"default\"", "\"yarn\"");
    assert!(refused(&yarn, tensors.clone()).to_string().contains("yarn"));
    let relu = config.replace("\"silu\"", "\"relu\"");
    assert!(refused(&relu, tensors.clone()).to_string().contains("relu"));
    assert_eq!(refused("{", tensors.clone()).code(), "model.corrupt");
    let mut more = tensors.clone();
    more.insert(
        "model.layers.0.extra.weight".into(),
        tensors["model.norm.weight"].clone(),
    );
    assert!(refused(&config, more).to_string().contains("extra"));
}

#[test]
fn an_index_names_files_beside_it() {
    let names = |json: &str| hugging_face::shards(json.as_bytes());
    let good = r#"{"weight_map": {"a": "m-2.safetensors", "b": "m-1.safetensors", "c": "m-2.safetensors"}}"#;
    assert_eq!(names(good).unwrap(), ["m-1.safetensors", "m-2.safetensors"]);
    let saved = r#"{"weight_map": {"a": "m-1.bin"}}"#;
    assert_eq!(names(saved).unwrap(), ["m-1.bin"], "what torch.save wrote");
    for bad in [
        "{}",
        "[",
        r#"{"weight_map": {"a": "../m.safetensors"}}"#,
        r#"{"weight_map": {"a": "m.txt"}}"#,
    ] {
        assert_eq!(names(bad).unwrap_err().code(), "model.corrupt", "{bad}");
    }
}

#[test]
fn damaged_headers_are_errors_never_panics() {
    let source = std::fs::read(folder("opt").join("model.safetensors")).unwrap();
    let whole = safetensors::header_bytes(*source.first_chunk().unwrap()).unwrap() as usize;
    let mut header = source[..whole].to_vec();
    let mut refused = 0;
    for bit in (0..whole * 8).step_by(11) {
        header[bit / 8] ^= 1 << (bit % 8);
        refused += u32::from(safetensors::parse(&header, source.len() as u64).is_err());
        header[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(refused > 200, "only {refused} flips were noticed");
    for len in 0..whole {
        assert!(safetensors::parse(&header[..len], source.len() as u64).is_err());
    }
    let error = safetensors::header_bytes([0xff; 8]).unwrap_err();
    assert_eq!(error.code(), "model.corrupt");
}
