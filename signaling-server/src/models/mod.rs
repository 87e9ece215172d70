//! Model files: read, hashed and counted.

mod cache;
mod file;
mod hashing;
mod range;
mod traffic;

use std::{path::PathBuf, sync::Arc};

pub use file::Model;
pub use range::ByteRange;
pub use traffic::{Counter, Traffic};

use crate::{error::StartError, refusal::Refusal};

/// The models of this server.
#[derive(Default)]
pub struct Shelf(Vec<Arc<Model>>);

impl Shelf {
    /// Reads and hashes the files, in order; blocks for seconds per GB where no manifest is kept. `say` gets progress and notices.
    ///
    /// # Errors
    /// `model.*`: files that cannot be read, and files no phone could run.
    pub fn read(files: &[PathBuf], say: impl Fn(&str)) -> Result<Self, StartError> {
        let models = files.iter().map(|path| Model::read(path, &say));
        let models: Vec<_> = models.collect::<Result<_, _>>()?;
        Ok(Self(models.into_iter().map(Arc::new).collect()))
    }

    /// In the order of the command line.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.0.iter().map(Arc::as_ref)
    }

    /// A model by its id.
    ///
    /// # Errors
    /// `model.unknown`.
    pub fn find(&self, id: &str) -> Result<Arc<Model>, Refusal> {
        let model = self.0.iter().find(|model| model.id == id);
        model.cloned().ok_or(Refusal::ModelUnknown)
    }
}
