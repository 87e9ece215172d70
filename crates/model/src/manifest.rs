//! Hashes of a model file, piece by piece: whoever brings a piece, the phone that loads it knows that it is the right one.
//!
//! A chunk of weights holds whole rows of one tensor, so it can go straight to an executor.

use core::{fmt, ops::Range};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::{error::ModelError, gguf::Header, graph::Graph};

/// Bytes of a chunk, unless one row is longer.
pub(crate) const CHUNK_BYTES: u64 = 1 << 20;
/// Longest chunk a phone accepts.
const MAX_CHUNK_BYTES: u32 = 16 << 20;
/// Most chunks of a file: 1 TiB.
const MAX_CHUNKS: usize = 1 << 20;

/// SHA-256 of a chunk; 64 hexadecimal digits in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hash([u8; 32]);

/// A piece of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// From the start of the file.
    pub offset: u64,
    /// Length.
    pub bytes: u32,
    /// Hash.
    pub sha256: Hash,
}

/// All pieces of a file: header and weights; padding is in none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Size of the file.
    pub file_bytes: u64,
    /// Size of its header; chunks up to here hold it.
    pub header_bytes: u64,
    /// Ascending.
    pub chunks: Vec<Chunk>,
}

/// The hash of bytes that come one after the other.
#[derive(Default)]
pub struct RunningHash(Sha256);

impl RunningHash {
    /// More bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of all bytes.
    pub fn finish(self) -> Hash {
        Hash(self.0.finalize().into())
    }
}

impl Hash {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || de::Error::custom("a hash has 64 hexadecimal digits");
        let digits: Option<Vec<u8>> = text
            .chars()
            .map(|digit| digit.to_digit(16).map(|digit| digit as u8))
            .collect();
        let digits = digits
            .filter(|digits| digits.len() == 64)
            .ok_or_else(wrong)?;
        let mut hash = [0; 32];
        for (byte, [high, low]) in hash.iter_mut().zip(digits.as_chunks().0) {
            *byte = high << 4 | low;
        }
        Ok(Self(hash))
    }
}

impl Chunk {
    /// A chunk with its hash.
    pub fn of(offset: u64, bytes: &[u8]) -> Self {
        Self {
            offset,
            bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            sha256: Hash::of(bytes),
        }
    }

    /// One past its last byte in the file.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(u64::from(self.bytes))
    }

    /// Whether these are its bytes.
    ///
    /// # Errors
    /// [`ModelError::ChunkHash`].
    pub fn verify(&self, bytes: &[u8]) -> Result<(), ModelError> {
        if bytes.len() == self.bytes as usize && Hash::of(bytes) == self.sha256 {
            return Ok(());
        }
        Err(ModelError::ChunkHash {
            offset: self.offset,
            end: self.end(),
        })
    }
}

impl Manifest {
    /// Whether a phone may rely on its numbers: chunks ascend, lie apart and inside the file, and are of bounded size.
    ///
    /// # Errors
    /// [`ModelError::Corrupt`].
    pub fn check(&self) -> Result<(), ModelError> {
        let corrupt = |detail: &str| {
            Err(ModelError::Corrupt {
                detail: detail.to_owned(),
            })
        };
        if self.chunks.len() > MAX_CHUNKS || self.header_bytes > self.file_bytes {
            return corrupt("its manifest has impossible sizes");
        }
        let mut end = 0;
        for chunk in &self.chunks {
            if chunk.bytes == 0 || chunk.bytes > MAX_CHUNK_BYTES || chunk.offset < end {
                return corrupt("the chunks of its manifest are out of order");
            }
            end = chunk.end();
        }
        if end > self.file_bytes {
            return corrupt("its manifest goes beyond the file");
        }
        Ok(())
    }

    /// Name of the model: the hash of sizes and chunk list.
    pub fn id(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(self.file_bytes.to_le_bytes());
        hasher.update(self.header_bytes.to_le_bytes());
        for chunk in &self.chunks {
            hasher.update(chunk.offset.to_le_bytes());
            hasher.update(chunk.bytes.to_le_bytes());
            hasher.update(chunk.sha256.0);
        }
        Hash(hasher.finalize().into()).to_string()
    }

    /// Indices of the chunks that hold any byte of the `ranges`, which ascend.
    pub fn covering(&self, ranges: &[Range<u64>]) -> Vec<usize> {
        let touches = |chunk: &Chunk| {
            let after = ranges.partition_point(|range| range.end <= chunk.offset);
            ranges
                .get(after)
                .is_some_and(|range| range.start < chunk.end())
        };
        let chunks = self.chunks.iter().enumerate();
        chunks
            .filter(|(_, chunk)| touches(chunk))
            .map(|(index, _)| index)
            .collect()
    }
}

/// Where the chunks of a file lie: the header first, then whole rows of one weight of the graph each, ascending.
///
/// # Errors
/// A row that is longer than any chunk may be.
pub fn layout(header: &Header, graph: &Graph) -> Result<Vec<Range<u64>>, ModelError> {
    let mut chunks = Vec::new();
    split(&mut chunks, 0..header.header_bytes, CHUNK_BYTES);
    let mut weights: Vec<_> = graph.weights.iter().collect();
    weights.sort_by_key(|weight| weight.range.start);
    for weight in weights {
        let row_bytes = weight.dtype.row_bytes(weight.cols).unwrap_or(0);
        if row_bytes == 0 || row_bytes > u64::from(MAX_CHUNK_BYTES) {
            return Err(ModelError::Corrupt {
                detail: format!("a row of tensor {} has {row_bytes} bytes", weight.name),
            });
        }
        let rows = (CHUNK_BYTES / row_bytes).max(1);
        split(&mut chunks, weight.range.clone(), rows * row_bytes);
    }
    Ok(chunks)
}

fn split(chunks: &mut Vec<Range<u64>>, range: Range<u64>, most_bytes: u64) {
    let mut start = range.start;
    while start < range.end {
        let end = range.end.min(start + most_bytes);
        chunks.push(start..end);
        start = end;
    }
}
