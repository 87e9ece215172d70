//! Vocabularies of the model files tests use.

use std::path::Path;

use model::gguf;
use text::Vocabulary;

pub fn smollm2() -> Vocabulary {
    read("models/SmolLM2-135M-Instruct.Q4_1.gguf")
}

pub fn tiny_llama() -> Vocabulary {
    read("tests/fixtures/tiny-llama/model-f32.gguf")
}

/// Reads a file of the workspace.
pub fn read(path: &str) -> Vocabulary {
    find(path).unwrap_or_else(|| panic!("{path} is not there; ./test downloads it"))
}

/// Reads a file of the workspace that may not be there.
pub fn find(path: &str) -> Option<Vocabulary> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path);
    let file = std::fs::read(&path).ok()?;
    let gguf::Progress::Done(header) = gguf::parse(&file, Some(file.len() as u64)).unwrap() else {
        panic!("{} ends within its header", path.display());
    };
    Some(Vocabulary::of(&header.metadata))
}
