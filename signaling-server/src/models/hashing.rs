//! The manifest of a file, from its bytes.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    ops::Range,
};

use model::{
    ModelError,
    gguf::Header,
    manifest::{Chunk, Manifest},
};

use super::file::Trouble;

/// Files below this are hashed before anybody wonders.
const SILENT_BYTES: u64 = 1 << 30;

/// Hashes every chunk of the layout.
pub fn manifest(
    file: &mut File,
    file_bytes: u64,
    header: &Header,
    layout: Vec<Range<u64>>,
    say: &impl Fn(&str),
) -> Result<Manifest, Trouble> {
    let mut chunks = Vec::with_capacity(layout.len());
    let mut bytes = Vec::new();
    let mut said = 0;
    for range in layout {
        let percent = range.start * 100 / file_bytes.max(1);
        if file_bytes >= SILENT_BYTES && percent >= said + 10 {
            said = percent;
            say(&format!("hashing the model: {percent} %"));
        }
        bytes.clear();
        file.seek(SeekFrom::Start(range.start))?;
        file.take(range.end - range.start).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != range.end - range.start {
            return Err(ModelError::Truncated {
                what: "a tensor".to_owned(),
                needed_bytes: range.end,
                file_bytes: range.start + bytes.len() as u64,
            }
            .into());
        }
        chunks.push(Chunk::of(range.start, &bytes));
    }
    Ok(Manifest {
        file_bytes,
        header_bytes: header.header_bytes,
        chunks,
    })
}
