//! A model as the server would give it, in memory.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use model::{Graph, arch, gguf};

/// A file, its header and its graph.
pub struct ModelFile {
    /// The op graph.
    pub graph: Arc<Graph>,
    /// Bytes of the header.
    pub header_bytes: u64,
    /// The whole file.
    pub bytes: Vec<u8>,
}

impl ModelFile {
    /// Reads a file that is known to be right.
    pub fn open(path: &Path) -> Arc<Self> {
        let bytes = std::fs::read(path).unwrap_or_else(|error| {
            panic!("{}: {error}\n./test downloads the model.", path.display())
        });
        let gguf::Progress::Done(header) = gguf::parse(&bytes, Some(bytes.len() as u64)).unwrap()
        else {
            panic!("{} ends within its header", path.display());
        };
        Arc::new(Self {
            graph: Arc::new(arch::build(&header).unwrap()),
            header_bytes: header.header_bytes,
            bytes,
        })
    }

    /// Random weights, four blocks.
    pub fn tiny_llama() -> Arc<Self> {
        Self::open(&workspace("tests/fixtures/tiny-llama/model-f32.gguf"))
    }

    /// The default model.
    pub fn smollm2() -> Arc<Self> {
        let default = || workspace("models/SmolLM2-135M-Instruct.Q4_1.gguf");
        Self::open(&std::env::var_os("LINGUALINKED_MODEL").map_or_else(default, PathBuf::from))
    }
}

/// A path inside the repository.
pub fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
