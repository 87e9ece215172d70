//! Files on disk, read range by range.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
};

use model::ModelError;

use crate::error::Error;

/// An open file.
pub(crate) struct Disk {
    path: PathBuf,
    file: File,
    /// Its size.
    pub bytes: u64,
}

impl Disk {
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::of_file(path))?;
        let bytes = file.metadata().map_err(Error::of_file(path))?.len();
        Ok(Self {
            path: path.to_owned(),
            file,
            bytes,
        })
    }

    /// The same file for a reader that wants one of its own.
    pub fn handle(&self) -> Result<File, Error> {
        self.file.try_clone().map_err(Error::of_file(&self.path))
    }

    /// All of a range.
    pub fn read(&mut self, range: Range<u64>) -> Result<Vec<u8>, Error> {
        let len = range.end.saturating_sub(range.start);
        let mut bytes = Vec::new();
        let mut read = || {
            self.file.seek(SeekFrom::Start(range.start))?;
            (&self.file).take(len).read_to_end(&mut bytes)
        };
        if read().map_err(Error::of_file(&self.path))? as u64 != len {
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

/// All of a small file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(Error::of_file(path))
}
