//! Manifests kept beside their files, so that a large model is hashed once.

use std::{
    fs::{self, File},
    io,
    ops::Range,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use model::{gguf::Header, manifest::Manifest};
use serde::{Deserialize, Serialize};

/// What a file looks like from outside; another one means that the bytes may have changed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Size.
    pub file_bytes: u64,
    /// Nanoseconds since 1970, in text: JSON numbers end at 53 bits.
    modified_ns: String,
}

#[derive(Serialize, Deserialize)]
struct Kept<M> {
    stamp: Stamp,
    manifest: M,
}

impl Stamp {
    /// Of an open file.
    pub fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH);
        Ok(Self {
            file_bytes: metadata.len(),
            modified_ns: modified.unwrap_or_default().as_nanos().to_string(),
        })
    }
}

/// The kept manifest, if it is that of this very file and cut as this version cuts.
pub fn load(
    path: &Path,
    stamp: &Stamp,
    header: &Header,
    layout: &[Range<u64>],
) -> Option<Manifest> {
    let kept = fs::read(beside(path)).ok()?;
    let kept: Kept<Manifest> = serde_json::from_slice(&kept).ok()?;
    let manifest = kept.manifest;
    let chunks = manifest
        .chunks
        .iter()
        .map(|chunk| chunk.offset..chunk.end());
    let fits = kept.stamp == *stamp
        && manifest.file_bytes == stamp.file_bytes
        && manifest.header_bytes == header.header_bytes
        && chunks.eq(layout.iter().cloned());
    fits.then_some(manifest)
}

/// Keeps a manifest; a folder that cannot be written costs the next start some time and nothing else.
pub fn store(path: &Path, stamp: Stamp, manifest: &Manifest, say: &impl Fn(&str)) {
    let target = beside(path);
    if let Err(error) = write(&target, &Kept { stamp, manifest }) {
        let target = target.display();
        say(&format!(
            "notice: cannot keep {target} ({error}); the model is hashed again at the next start"
        ));
    }
}

/// Renamed when whole: a server started meanwhile reads the old one or the new one.
fn write(target: &Path, kept: &impl Serialize) -> io::Result<()> {
    let unfinished = target.with_extension(format!("{}.part", std::process::id()));
    fs::write(&unfinished, serde_json::to_vec(kept)?)?;
    fs::rename(&unfinished, target).inspect_err(|_| {
        // Nothing more can be done about a folder that takes files and gives none back.
        let _ = fs::remove_file(&unfinished);
    })
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".manifest.json");
    path.with_file_name(name)
}
