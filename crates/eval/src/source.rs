//! A model on disk: a GGUF file, or the folder of a Hugging Face repository, read range by range.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
};

use model::{
    ModelError,
    gguf::{self, Header, Progress},
    hugging_face::{self, Target, VirtualFile, safetensors},
};
use text::Vocabulary;

use crate::error::Error;

/// First read of a header.
const FIRST_BYTES: u64 = 1 << 20;

/// An open model.
pub struct Source {
    /// What it says before its weights.
    pub header: Header,
    files: Files,
    folder: Option<PathBuf>,
}

enum Files {
    Gguf(Disk),
    Repository(VirtualFile, Vec<Disk>),
}

struct Disk {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Source {
    /// Opens a `.gguf` file or a repository's folder; `target` is what weights of the latter become.
    ///
    /// # Errors
    /// The disk, or a model that no builder knows.
    pub fn open(path: &Path, target: Target) -> Result<Self, Error> {
        if path.is_dir() {
            return Self::repository(path, target);
        }
        let mut disk = Disk::open(path)?;
        let mut wanted = FIRST_BYTES.min(disk.bytes);
        loop {
            let prefix = disk.read(0..wanted)?;
            match gguf::parse(&prefix, Some(disk.bytes))? {
                Progress::Done(header) => {
                    return Ok(Self {
                        header: *header,
                        files: Files::Gguf(disk),
                        folder: None,
                    });
                }
                // Doubled, because every attempt parses from the start.
                Progress::NeedMore { at_least_bytes } => {
                    wanted = at_least_bytes.max(wanted * 2).min(disk.bytes);
                }
            }
        }
    }

    fn repository(folder: &Path, target: Target) -> Result<Self, Error> {
        let index = folder.join("model.safetensors.index.json");
        let names = match index.exists() {
            true => hugging_face::shards(&read(&index)?)?,
            false => vec!["model.safetensors".to_owned()],
        };
        let (mut disks, mut tensors) = (Vec::new(), Vec::new());
        for name in names {
            let mut disk = Disk::open(&folder.join(name))?;
            let length = disk.read(0..safetensors::LENGTH_BYTES.min(disk.bytes))?;
            let length = length.first_chunk().ok_or_else(|| ModelError::Corrupt {
                detail: "a file of it is empty".to_owned(),
            })?;
            let header_bytes = safetensors::header_bytes(*length)?.min(disk.bytes);
            tensors.push(safetensors::parse(
                &disk.read(0..header_bytes)?,
                disk.bytes,
            )?);
            disks.push(disk);
        }
        let config = read(&folder.join("config.json"))?;
        let file = VirtualFile::new(&config, &tensors, target, Vec::new())?;
        match gguf::parse(file.header(), Some(file.file_bytes()))? {
            Progress::Done(header) => Ok(Self {
                header: *header,
                files: Files::Repository(file, disks),
                folder: Some(folder.to_owned()),
            }),
            Progress::NeedMore { at_least_bytes } => Err(ModelError::Truncated {
                what: "the header".to_owned(),
                needed_bytes: at_least_bytes,
                file_bytes: file.file_bytes(),
            }
            .into()),
        }
    }

    /// Bytes of the GGUF file.
    ///
    /// # Errors
    /// The disk.
    pub fn read(&mut self, range: Range<u64>) -> Result<Vec<u8>, Error> {
        match &mut self.files {
            Files::Gguf(disk) => disk.read(range),
            Files::Repository(file, disks) => file.read(range, |index, range| {
                let disk = disks.get_mut(index).ok_or_else(|| Error::Question {
                    detail: format!("the repository has no file {index}"),
                })?;
                disk.read(range)
            }),
        }
    }

    /// Of the header, or of the repository's tokenizer.json.
    ///
    /// # Errors
    /// A tokenizer that is not known.
    pub fn vocabulary(&self) -> Result<Vocabulary, Error> {
        let Some(folder) = &self.folder else {
            return Ok(Vocabulary::of(&self.header.metadata));
        };
        let text = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(|error| Error::File { path, error })
        };
        let config = text("tokenizer_config.json").ok();
        let tokenizer = text("tokenizer.json")?;
        Ok(Vocabulary::of_hugging_face(&tokenizer, config.as_deref())?)
    }
}

impl Disk {
    fn open(path: &Path) -> Result<Self, Error> {
        let failed = |error| Error::File {
            path: path.to_owned(),
            error,
        };
        let file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        Ok(Self {
            path: path.to_owned(),
            file,
            bytes,
        })
    }

    fn read(&mut self, range: Range<u64>) -> Result<Vec<u8>, Error> {
        let len = range.end.saturating_sub(range.start);
        let mut bytes = Vec::new();
        let mut read = || {
            self.file.seek(SeekFrom::Start(range.start))?;
            (&self.file).take(len).read_to_end(&mut bytes)
        };
        let failed = |error| Error::File {
            path: self.path.clone(),
            error,
        };
        if read().map_err(failed)? as u64 != len {
            return Err(ModelError::Truncated {
                what: "the file".to_owned(),
                needed_bytes: range.end,
                file_bytes: self.bytes,
            }
            .into());
        }
        Ok(bytes)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| Error::File {
        path: path.to_owned(),
        error,
    })
}
