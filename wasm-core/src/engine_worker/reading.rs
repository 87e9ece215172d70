//! Reads a model file that nobody has a list of chunks of, once, from start to end, and makes that list.

use core::ops::Range;

use model::{
    Graph, ModelError,
    gguf::{self, Header},
    manifest::{self, Chunk, Hash, Manifest, RunningHash},
};
use session::Fault;
use web_sys::Blob;

use super::{blob, download::BACKOFF_MS, model_file::MAX_HEADER_BYTES, repository::Repository};
use crate::{
    clock::{now_ms, sleep},
    error::{BrowserError, of_model},
    http,
};

/// Read at a time.
const BLOCK_BYTES: u64 = 8 << 20;
/// The first part of a header that is looked at; it grows by doubling.
const FIRST_HEADER_BYTES: u64 = 1 << 20;
/// Progress is told no more often than this.
const PROGRESS_MS: f64 = 100.0;

/// Where the file is.
pub enum Place {
    /// On this device.
    Device(Blob),
    /// At an address.
    Address(String),
}

/// Where blocks come from.
enum Source {
    File(Place),
    Repository(Box<Repository>),
}

/// A file, read block by block.
pub struct Reader {
    source: Source,
    file_bytes: u64,
    block_at: u64,
    block: Vec<u8>,
}

impl Reader {
    /// Looks how long the file is.
    ///
    /// # Errors
    /// There is none, or the site does not say it.
    pub async fn open(place: Place) -> Result<Self, Fault> {
        let (file_bytes, block) = match &place {
            Place::Device(file) => (file.size() as u64, Vec::new()),
            Place::Address(address) => {
                let (bytes, total) = fetched(address, &(0..BLOCK_BYTES)).await?;
                let silent = || BrowserError::AddressUnreadable {
                    address: address.clone(),
                    detail: "the site does not say how long the file is".to_owned(),
                };
                (total.ok_or_else(silent)?, bytes)
            }
        };
        Ok(Self {
            source: Source::File(place),
            file_bytes,
            block_at: 0,
            block,
        })
    }

    /// The GGUF file that is made of a repository.
    ///
    /// # Errors
    /// As [`Repository::open`].
    pub async fn of_repository(address: &str) -> Result<Self, Fault> {
        let repository = Repository::open(address).await?;
        Ok(Self {
            file_bytes: repository.file_bytes(),
            source: Source::Repository(Box::new(repository)),
            block_at: 0,
            block: Vec::new(),
        })
    }

    /// How long the file is.
    pub const fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Bytes `range`, of which none lies behind the end of the file.
    ///
    /// # Errors
    /// The file cannot be read, or is shorter.
    pub async fn read(&mut self, range: Range<u64>) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        let mut at = range.start;
        while at < range.end {
            if !self.block_range().contains(&at) {
                self.load(at).await?;
            }
            let here = |end: u64| usize::try_from(end.saturating_sub(self.block_at)).unwrap_or(0);
            let end = range.end.min(self.block_range().end);
            let part = self.block.get(here(at)..here(end)).unwrap_or_default();
            if part.is_empty() {
                return Err(self.truncated(range.end));
            }
            bytes.extend_from_slice(part);
            at = end;
        }
        Ok(bytes)
    }

    fn block_range(&self) -> Range<u64> {
        self.block_at..self.block_at + self.block.len() as u64
    }

    async fn load(&mut self, at: u64) -> Result<(), Fault> {
        let range = at..self.file_bytes.min(at + BLOCK_BYTES);
        self.block = match &mut self.source {
            Source::File(Place::Device(file)) => blob::read(file, range).await?,
            Source::File(Place::Address(address)) => fetched(address, &range).await?.0,
            // Its files are read in the same way.
            Source::Repository(repository) => Box::pin(repository.read(range)).await?,
        };
        self.block_at = at;
        Ok(())
    }

    fn truncated(&self, needed_bytes: u64) -> Fault {
        of_model(&ModelError::Truncated {
            what: "the file".to_owned(),
            needed_bytes,
            file_bytes: self.file_bytes,
        })
    }

    /// The list of the file's chunks; each chunk is given to `keep`. `tell` hears how many bytes are done, now and then.
    ///
    /// # Errors
    /// It is no model that this version can run, it cannot be read, or is not the one that was `expected`.
    pub async fn list(
        mut self,
        expected: Option<Hash>,
        keep: &mut impl AsyncFnMut(&Chunk, &[u8]),
        tell: &impl Fn(u64, u64),
    ) -> Result<Manifest, Fault> {
        let (header, graph) = self.header().await?;
        let layout = manifest::layout(&header, &graph).map_err(|error| of_model(&error))?;
        let mut chunks = Vec::with_capacity(layout.len());
        let mut whole = RunningHash::default();
        let mut told_at_ms = now_ms();
        let mut at = 0;
        tell(0, self.file_bytes);
        for range in layout {
            let bytes = self.read(at..range.end).await?;
            whole.update(&bytes);
            // What lies between chunks is padding.
            let padding = usize::try_from(range.start.saturating_sub(at)).unwrap_or(usize::MAX);
            let bytes = bytes.get(padding..).unwrap_or_default();
            let chunk = Chunk::of(range.start, bytes);
            keep(&chunk, bytes).await;
            chunks.push(chunk);
            at = range.end;
            if now_ms() - told_at_ms >= PROGRESS_MS {
                told_at_ms = now_ms();
                tell(at, self.file_bytes);
            }
        }
        let address = match &self.source {
            Source::File(Place::Address(address)) => Some(address.clone()),
            Source::Repository(repository) => Some(repository.address().to_owned()),
            Source::File(Place::Device(_)) => None,
        };
        if let (Some(expected), Some(address)) = (expected, address) {
            while at < self.file_bytes {
                let end = self.file_bytes.min(at + BLOCK_BYTES);
                whole.update(&self.read(at..end).await?);
                at = end;
            }
            if whole.finish() != expected {
                return Err(BrowserError::OtherFile { address }.into());
            }
        }
        tell(self.file_bytes, self.file_bytes);
        let manifest = Manifest {
            file_bytes: self.file_bytes,
            header_bytes: header.header_bytes,
            chunks,
        };
        manifest.check().map_err(|error| of_model(&error))?;
        Ok(manifest)
    }

    async fn header(&mut self) -> Result<(Header, Graph), Fault> {
        let mut prefix = self
            .read(0..self.file_bytes.min(FIRST_HEADER_BYTES))
            .await?;
        loop {
            let parsed = gguf::parse(&prefix, Some(self.file_bytes));
            match parsed.map_err(|error| of_model(&error))? {
                gguf::Progress::Done(header) => {
                    let graph = model::arch::build(&header).map_err(|error| of_model(&error))?;
                    return Ok((*header, graph));
                }
                gguf::Progress::NeedMore { at_least_bytes } => {
                    let have = prefix.len() as u64;
                    let end = at_least_bytes.max(2 * have).min(self.file_bytes);
                    if end <= have || end > MAX_HEADER_BYTES as u64 {
                        return Err(self.truncated(at_least_bytes));
                    }
                    prefix.extend(self.read(have..end).await?);
                }
            }
        }
    }
}

/// Bytes of a file elsewhere, and how long it is.
async fn fetched(address: &str, range: &Range<u64>) -> Result<(Vec<u8>, Option<u64>), Fault> {
    patiently(address, async || http::bytes(address, range).await).await
}

/// What is asked of a site, after several tries.
///
/// # Errors
/// `model.address_unreadable`, with what went wrong in the last one.
pub async fn patiently<T>(
    address: &str,
    ask: impl AsyncFn() -> Result<T, Fault>,
) -> Result<T, Fault> {
    let mut waits = BACKOFF_MS.iter();
    loop {
        let fault = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(fault) => fault,
        };
        let unreadable = || BrowserError::AddressUnreadable {
            address: address.to_owned(),
            detail: fault.message,
        };
        // An answer that is none of a file will not change.
        let passes = ["server.unreachable", "server.failed"].contains(&fault.code.as_str());
        match waits.next().filter(|_| passes) {
            Some(wait_ms) => sleep(*wait_ms).await,
            None => return Err(unreadable().into()),
        }
    }
}
