//! Repositories that become files, as a person converts them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use eval::source::Source;
use model::hugging_face::Target;
use rawzip::{CompressionMethod, ZipArchiveWriter};
use serde_json::{Value, json};

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures")
        .join(path)
}

/// A folder of a test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("lingualinked-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn copy(&self, from: &str, file: &str) {
        fs::copy(fixture(from).join(file), self.0.join(file)).unwrap();
    }

    fn write(&self, file: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.0.join(file), contents).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Any vocabulary of so many tokens will do.
fn tokenizer(tokens: usize) -> String {
    let vocab: serde_json::Map<String, Value> = (0..tokens)
        .map(|id| (format!("t{id}"), json!(id)))
        .collect();
    json!({ "pre_tokenizer": { "type": "ByteLevel" }, "model": { "type": "BPE", "vocab": vocab, "merges": [] } })
        .to_string()
}

fn convert(repository: &Path, out: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_convert"))
        .args([repository, out])
        .args(more)
        .output()
        .unwrap()
}

fn bytes_of(source: &mut Source) -> Vec<u8> {
    let all = source.file_bytes();
    source.read(0..all).unwrap()
}

/// `torch.save`'s archive of a dictionary of f32 tensors: opcodes of pickle protocol 2 written by hand.
fn checkpoint(tensors: &BTreeMap<String, (Vec<u64>, Vec<u8>)>) -> Vec<u8> {
    let text = |out: &mut Vec<u8>, text: &str| {
        out.push(b'X');
        out.extend((text.len() as u32).to_le_bytes());
        out.extend(text.as_bytes());
    };
    let number = |out: &mut Vec<u8>, number: u64| {
        out.push(b'J');
        out.extend((number as u32).to_le_bytes());
    };
    let mut pickle = b"\x80\x02}(".to_vec();
    let mut archive = ZipArchiveWriter::new(Vec::new());
    let mut put = |name: &str, bytes: &[u8]| {
        let (mut entry, config) = archive
            .new_file(name)
            .compression_method(CompressionMethod::STORE)
            .start()
            .unwrap();
        let mut writer = config.wrap(&mut entry);
        std::io::Write::write_all(&mut writer, bytes).unwrap();
        let (_, descriptor) = writer.finish().unwrap();
        entry.finish(descriptor).unwrap();
    };
    for (key, (name, (shape, bytes))) in tensors.iter().enumerate() {
        text(&mut pickle, name);
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut pickle, "storage");
        pickle.extend(b"ctorch\nFloatStorage\n");
        text(&mut pickle, &key.to_string());
        text(&mut pickle, "cpu");
        number(&mut pickle, bytes.len() as u64 / 4);
        pickle.extend(b"tQ");
        number(&mut pickle, 0);
        let strides = (0..shape.len()).map(|at| shape.iter().skip(at + 1).product());
        for sizes in [shape.clone(), strides.collect()] {
            pickle.push(b'(');
            for size in sizes {
                number(&mut pickle, size);
            }
            pickle.push(b't');
        }
        pickle.extend(b"\x89NtR");
        put(&format!("archive/data/{key}"), bytes);
    }
    pickle.extend(b"u.");
    put("archive/data.pkl", &pickle);
    archive.finish().unwrap()
}

/// Tensors of a safetensors file, as it has them.
fn safetensors(path: &Path) -> BTreeMap<String, (Vec<u64>, Vec<u8>)> {
    let file = fs::read(path).unwrap();
    let (length, rest) = file.split_first_chunk().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: BTreeMap<String, Value> = serde_json::from_slice(header).unwrap();
    let entries = header
        .into_iter()
        .filter(|(name, _)| name != "__metadata__");
    entries
        .map(|(name, entry)| {
            assert_eq!(entry["dtype"], "F32");
            let shape: Vec<u64> = serde_json::from_value(entry["shape"].clone()).unwrap();
            let [start, end]: [usize; 2] =
                serde_json::from_value(entry["data_offsets"].clone()).unwrap();
            (name, (shape, data.get(start..end).unwrap().to_vec()))
        })
        .collect()
}

#[test]
fn a_repository_becomes_the_file_that_it_is_read_as() {
    let folder = Folder::new("convert");
    folder.copy("tiny-opt350", "config.json");
    folder.copy("tiny-opt350", "model.safetensors");
    folder.write("tokenizer.json", tokenizer(512));
    for (quantise, target) in [
        ("keep", Target::Keep),
        ("q8_0", Target::Q8_0),
        ("q4_0", Target::Q4_0),
    ] {
        let out = folder.0.join(format!("{quantise}.gguf"));
        let output = convert(&folder.0, &out, &["--quantise", quantise]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let mut file = Source::open(&out, Target::Keep).unwrap();
        let mut repository = Source::open(&folder.0, target).unwrap();
        assert_eq!(file.header.tensors.len(), repository.header.tensors.len());
        for (a, b) in file
            .header
            .tensors
            .clone()
            .iter()
            .zip(&repository.header.tensors.clone())
        {
            assert_eq!((&a.name, a.dtype), (&b.name, b.dtype));
            assert_eq!(
                file.read(a.range.clone()).unwrap(),
                repository.read(b.range.clone()).unwrap()
            );
        }
        let vocabulary = text::Vocabulary::of(&file.header.metadata);
        assert_eq!((vocabulary.tokens.len(), &*vocabulary.pre), (512, "gpt-2"));
    }
    let again = convert(&folder.0, &folder.0.join("keep.gguf"), &[]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("error[eval.question]"));
}

#[test]
fn what_torch_saved_is_read_like_safetensors() {
    for name in ["tiny-opt350", "tiny-gptj"] {
        let folder = Folder::new(name);
        folder.copy(name, "config.json");
        let tensors = safetensors(&fixture(name).join("model.safetensors"));
        folder.write("pytorch_model.bin", checkpoint(&tensors));
        let mut saved = Source::open(&folder.0, Target::Q8_0).unwrap();
        let mut safe = Source::open(&fixture(name), Target::Q8_0).unwrap();
        assert_eq!(bytes_of(&mut saved), bytes_of(&mut safe));
        // The same in two files, which an index names.
        fs::remove_file(folder.0.join("pytorch_model.bin")).unwrap();
        let mut map = serde_json::Map::new();
        for half in 0..2 {
            let file = format!("pytorch_model-0000{half}-of-00002.bin");
            let part = tensors.iter().skip(half).step_by(2);
            let part: BTreeMap<_, _> = part
                .map(|(name, data)| (name.clone(), data.clone()))
                .collect();
            map.extend(part.keys().map(|name| (name.clone(), json!(file))));
            folder.write(&file, checkpoint(&part));
        }
        folder.write(
            "pytorch_model.bin.index.json",
            json!({ "weight_map": map }).to_string(),
        );
        let mut sharded = Source::open(&folder.0, Target::Q8_0).unwrap();
        assert_eq!(bytes_of(&mut sharded), bytes_of(&mut safe));
    }
}

#[test]
fn byte_level_files_of_older_repositories_are_read() {
    let folder = Folder::new("vocab");
    folder.write(
        "vocab.json",
        r#"{ "<s>": 0, "</s>": 2, "a": 3, "b": 4, "ab": 5, "!": 1 }"#,
    );
    folder.write("merges.txt", "#version: 0.2\na b\n");
    folder.write(
        "special_tokens_map.json",
        r#"{ "bos_token": "<s>", "eos_token": { "content": "</s>" } }"#,
    );
    folder.write(
        "tokenizer_config.json",
        r#"{ "bos_token": "</s>", "eos_token": "</s>", "add_bos_token": true }"#,
    );
    let vocabulary = eval::tokenizer::vocabulary(&folder.0).unwrap();
    assert_eq!(vocabulary.token_types, [3, 1, 3, 1, 1, 1]);
    assert_eq!((vocabulary.bos, vocabulary.add_bos), (Some(2), Some(true)));
    let tokenizer = text::Tokenizer::new(&vocabulary).unwrap();
    assert_eq!(tokenizer.encode("abb", false, true).unwrap(), [2, 5, 4]);
    fs::remove_file(folder.0.join("vocab.json")).unwrap();
    folder.write(
        "tokenizer.model",
        fs::read(fixture("sentence-piece/tokenizer.model")).unwrap(),
    );
    assert_eq!(
        eval::tokenizer::vocabulary(&folder.0).unwrap().model,
        "llama"
    );
}
