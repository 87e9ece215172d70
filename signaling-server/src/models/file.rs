//! A model file as it is offered to phones.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use axum::body::Bytes;
use model::{
    ModelError, arch,
    gguf::{self, Header, Progress},
    manifest::{self, Manifest},
};

use super::{
    cache::{self, Stamp},
    hashing,
};
use crate::error::StartError;

/// First read of a header.
const FIRST_BYTES: u64 = 1 << 20;
/// Longest header read into memory; the largest vocabularies need a tenth.
const MAX_HEADER_BYTES: u64 = 256 << 20;

/// A model phones can run.
pub struct Model {
    /// Hash of its manifest.
    pub id: String,
    /// For people.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Hashes.
    pub manifest: Manifest,
    /// The manifest as it is sent.
    pub manifest_json: Bytes,
}

/// What stands in the way of a model, without the file's name.
pub enum Trouble {
    /// The disk.
    Io(io::Error),
    /// The contents.
    Model(ModelError),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ModelError> for Trouble {
    fn from(error: ModelError) -> Self {
        Self::Model(error)
    }
}

impl Model {
    /// Reads the header, refuses what no phone could run, and hashes the rest unless that was done before.
    pub fn read(path: &Path, say: &impl Fn(&str)) -> Result<Self, StartError> {
        Self::open(path, say).map_err(|trouble| match trouble {
            Trouble::Io(error) => StartError::ModelUnreadable {
                file: path.to_owned(),
                detail: error.to_string(),
            },
            Trouble::Model(error) => StartError::Model {
                file: path.to_owned(),
                error,
            },
        })
    }

    fn open(path: &Path, say: &impl Fn(&str)) -> Result<Self, Trouble> {
        let mut file = File::open(path)?;
        let stamp = Stamp::of(&file)?;
        let header = header(&mut file, stamp.file_bytes)?;
        let graph = arch::build(&header)?;
        let layout = manifest::layout(&header, &graph)?;
        let manifest = match cache::load(path, &stamp, &header, &layout) {
            Some(manifest) => manifest,
            None => {
                let manifest =
                    hashing::manifest(&mut file, stamp.file_bytes, &header, layout, say)?;
                cache::store(path, stamp, &manifest, say);
                manifest
            }
        };
        manifest.check()?;
        Ok(Self {
            id: manifest.id(),
            name: name(&header, path),
            path: path.to_owned(),
            manifest_json: serde_json::to_vec(&manifest)
                .map_err(io::Error::from)?
                .into(),
            manifest,
        })
    }
}

fn header(file: &mut File, file_bytes: u64) -> Result<Header, Trouble> {
    let mut prefix = Vec::new();
    let mut wanted = FIRST_BYTES;
    loop {
        let missing = wanted.saturating_sub(prefix.len() as u64);
        let read = file.take(missing).read_to_end(&mut prefix)?;
        match gguf::parse(&prefix, Some(file_bytes))? {
            Progress::Done(header) => return Ok(*header),
            // The file shrank since its size was taken.
            Progress::NeedMore { .. } if read == 0 => {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            Progress::NeedMore { at_least_bytes } if at_least_bytes > MAX_HEADER_BYTES => {
                let detail = format!("its header claims {at_least_bytes} bytes");
                return Err(ModelError::Corrupt { detail }.into());
            }
            // Doubled, because every attempt parses from the start.
            Progress::NeedMore { at_least_bytes } => wanted = at_least_bytes.max(wanted * 2),
        }
    }
}

fn name(header: &Header, path: &Path) -> String {
    let file = || path.file_stem().unwrap_or_default().to_string_lossy();
    match header.metadata.str("general.name") {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => file().into_owned(),
    }
}
