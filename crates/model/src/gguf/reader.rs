//! Numbers and strings out of a prefix of a file.

use crate::error::ModelError;

/// Longest string of a header: chat templates are a few KB.
const MAX_STRING_BYTES: u64 = 16 << 20;

/// Why reading stopped.
pub enum End {
    /// The prefix ends here; the file goes on.
    OfPrefix {
        /// From the start of the file.
        needed_bytes: u64,
    },
    /// The bytes are no header.
    Wrong(ModelError),
}

impl From<ModelError> for End {
    fn from(error: ModelError) -> Self {
        Self::Wrong(error)
    }
}

/// Reads forward.
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.at as u64
    }

    pub fn take(&mut self, len: u64) -> Result<&'a [u8], End> {
        let needed_bytes = self.position().saturating_add(len);
        let end = usize::try_from(needed_bytes).map_err(|_| End::OfPrefix { needed_bytes })?;
        let taken = self
            .bytes
            .get(self.at..end)
            .ok_or(End::OfPrefix { needed_bytes })?;
        self.at = end;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], End> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    pub fn u32(&mut self) -> Result<u32, End> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, End> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number of things; memory is never allocated for it before they are read.
    pub fn count(&mut self, what: &str, most: u64) -> Result<u64, End> {
        let count = self.u64()?;
        if count > most {
            let detail = format!("it announces {count} {what}");
            return Err(ModelError::Corrupt { detail }.into());
        }
        Ok(count)
    }

    pub fn string(&mut self) -> Result<String, End> {
        let len = self.count("bytes of a string", MAX_STRING_BYTES)?;
        let text = core::str::from_utf8(self.take(len)?).map_err(|_| ModelError::Corrupt {
            detail: "a string is not UTF-8".to_owned(),
        })?;
        Ok(text.to_owned())
    }
}
