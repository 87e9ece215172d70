//! Model files: manifest made or remembered at start, bytes by range, counted by client.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use model::{
    ModelError, arch, gguf,
    manifest::{self, Chunk, Manifest},
};
use serde::Serialize;

use crate::error::ServerError;

/// First guess at the size of a header.
const PREFIX_BYTES: u64 = 1 << 20;

/// A model as the page is told of it.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Hash of the manifest.
    pub id: String,
    /// File name without its ending.
    pub name: String,
    /// Address of the file.
    pub file: String,
    /// Address of the manifest.
    pub manifest: String,
    /// Size.
    pub file_bytes: u64,
}

/// A served file.
pub struct Model {
    /// For the page.
    pub entry: Entry,
    /// Where it is.
    pub path: PathBuf,
    /// As JSON.
    pub manifest_json: String,
}

/// All models, by id.
#[derive(Default)]
pub struct Models {
    by_id: BTreeMap<String, Model>,
}

impl Models {
    /// Adds a file, once it is hashed.
    ///
    /// # Errors
    /// Unreadable, damaged or unsupported files.
    pub fn add(&mut self, path: &Path) -> Result<&Entry, ServerError> {
        let manifest = read_manifest(path)?;
        let id = manifest.id();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let model = Model {
            entry: Entry {
                name: name.into_owned(),
                file: format!("/models/{id}/file"),
                manifest: format!("/models/{id}/manifest"),
                file_bytes: manifest.file_bytes,
                id: id.clone(),
            },
            path: path.to_owned(),
            manifest_json: serde_json::to_string(&manifest).map_err(|_| ServerError::Request)?,
        };
        Ok(&self.by_id.entry(id).or_insert(model).entry)
    }

    /// By id.
    ///
    /// # Errors
    /// No such model.
    pub fn get(&self, id: &str) -> Result<&Model, ServerError> {
        self.by_id.get(id).ok_or(ServerError::UnknownModel)
    }

    /// For the page.
    pub fn entries(&self) -> Vec<Entry> {
        self.by_id
            .values()
            .map(|model| model.entry.clone())
            .collect()
    }
}

/// Header, graph (a model no phone could run is refused here) and the hash of every chunk.
fn read_manifest(path: &Path) -> Result<Manifest, ServerError> {
    let unreadable = |error| ServerError::File {
        path: path.display().to_string(),
        error,
    };
    let refused = |error| ServerError::Model {
        path: path.display().to_string(),
        error,
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let file_bytes = file.metadata().map_err(unreadable)?.len();
    let header = read_header(&mut file, file_bytes, unreadable, refused)?;
    arch::build(&header).map_err(refused)?;
    let mut chunks = Vec::new();
    let mut bytes = Vec::new();
    for range in manifest::layout(&header).map_err(refused)? {
        file.seek(SeekFrom::Start(range.start))
            .map_err(unreadable)?;
        bytes.clear();
        let wanted = range.end - range.start;
        file.by_ref()
            .take(wanted)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        chunks.push(Chunk::of(range.start, &bytes));
    }
    let manifest = Manifest {
        file_bytes,
        header_bytes: header.header_bytes,
        chunks,
    };
    manifest.check().map_err(refused)?;
    Ok(manifest)
}

fn read_header(
    file: &mut File,
    file_bytes: u64,
    unreadable: impl Fn(std::io::Error) -> ServerError,
    refused: impl Fn(ModelError) -> ServerError,
) -> Result<gguf::Header, ServerError> {
    let mut prefix = Vec::new();
    let mut wanted = PREFIX_BYTES.min(file_bytes);
    loop {
        let missing = wanted.saturating_sub(prefix.len() as u64);
        file.by_ref()
            .take(missing)
            .read_to_end(&mut prefix)
            .map_err(&unreadable)?;
        match gguf::parse(&prefix, Some(file_bytes)).map_err(&refused)? {
            gguf::Progress::Done(header) => return Ok(*header),
            gguf::Progress::NeedMore { at_least_bytes } => wanted = at_least_bytes,
        }
    }
}
