//! A model on disk: a GGUF file, or the folder of a Hugging Face repository, read range by range.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
};

use model::{
    ModelError,
    gguf::{self, Header, Progress, Value},
    hugging_face::{
        self, Target, VirtualFile,
        safetensors::{self, Tensor},
    },
};

use crate::{
    checkpoint,
    disk::{Disk, read},
    error::Error,
};

/// First read of a header.
const FIRST_BYTES: u64 = 1 << 20;

/// An open model.
pub struct Source {
    /// What it says before its weights.
    pub header: Header,
    files: Files,
}

enum Files {
    Gguf(Disk),
    Repository(VirtualFile, Vec<Disk>),
}

impl Source {
    /// Opens a `.gguf` file or a repository's folder; `target` is what weights of the latter become.
    ///
    /// # Errors
    /// The disk, or a model that no builder knows.
    pub fn open(path: &Path, target: Target) -> Result<Self, Error> {
        if path.is_dir() {
            return Self::repository(path, target, Vec::new());
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
                    });
                }
                // Doubled, because every attempt parses from the start.
                Progress::NeedMore { at_least_bytes } => {
                    wanted = at_least_bytes.max(wanted * 2).min(disk.bytes);
                }
            }
        }
    }

    /// Opens a repository's folder; `tokenizer` is what the GGUF file is to say of its text.
    ///
    /// # Errors
    /// The disk, or a model that no builder knows.
    pub fn repository(
        folder: &Path,
        target: Target,
        tokenizer: Vec<(String, Value)>,
    ) -> Result<Self, Error> {
        let (mut disks, mut tensors) = (Vec::new(), Vec::new());
        for path in weight_files(folder)? {
            let mut disk = Disk::open(&path)?;
            tensors.push(match path.extension().is_some_and(|end| end == "bin") {
                true => checkpoint::tensors(&mut disk)?,
                false => safetensors(&mut disk)?,
            });
            disks.push(disk);
        }
        let config = read(&folder.join("config.json"))?;
        let file = VirtualFile::new(&config, &tensors, target, tokenizer)?;
        match gguf::parse(file.header(), Some(file.file_bytes()))? {
            Progress::Done(header) => Ok(Self {
                header: *header,
                files: Files::Repository(file, disks),
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
            Files::Repository(file, disks) => {
                let read = file.read(range, async |index, range| {
                    let disk = disks.get_mut(index).ok_or_else(|| Error::Question {
                        detail: format!("the repository has no file {index}"),
                    })?;
                    disk.read(range)
                });
                pollster::block_on(read)
            }
        }
    }

    /// Size of the GGUF file.
    pub fn file_bytes(&self) -> u64 {
        match &self.files {
            Files::Gguf(disk) => disk.bytes,
            Files::Repository(file, _) => file.file_bytes(),
        }
    }
}

/// Safetensors if there are any, else what `torch.save` wrote; in one file or in several that an index names.
fn weight_files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    for (whole, index) in [
        ("model.safetensors", "model.safetensors.index.json"),
        ("pytorch_model.bin", "pytorch_model.bin.index.json"),
    ] {
        let index = folder.join(index);
        if index.exists() {
            let names = hugging_face::shards(&read(&index)?)?;
            return Ok(names.into_iter().map(|name| folder.join(name)).collect());
        }
        if folder.join(whole).exists() {
            return Ok(vec![folder.join(whole)]);
        }
    }
    Err(Error::Question {
        detail: format!(
            "{} has neither *.safetensors nor pytorch_model.bin",
            folder.display()
        ),
    })
}

fn safetensors(disk: &mut Disk) -> Result<BTreeMap<String, Tensor>, Error> {
    let length = disk.read(0..safetensors::LENGTH_BYTES.min(disk.bytes))?;
    let length = length
        .first_chunk()
        .ok_or_else(|| ModelError::corrupt("a file of it is empty"))?;
    let header_bytes = safetensors::header_bytes(*length)?.min(disk.bytes);
    let header = disk.read(0..header_bytes)?;
    Ok(safetensors::parse(&header, disk.bytes)?)
}
