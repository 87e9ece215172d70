//! The vocabulary of a repository on disk, whichever of its usual files it has.

use std::{collections::BTreeMap, path::Path};

use text::Vocabulary;

use crate::{disk::read, error::Error};

/// From the files of a folder.
///
/// # Errors
/// The disk; none of these files, or one that says something unknown.
pub fn vocabulary(folder: &Path) -> Result<Vocabulary, Error> {
    let mut files = BTreeMap::new();
    for name in Vocabulary::FILES {
        let path = folder.join(name);
        if path.exists() {
            files.insert(name, read(&path)?);
        }
    }
    Ok(Vocabulary::of_repository(&files)?)
}
