//! GGUF headers from a growing prefix of the file (ggml/docs/gguf.md, versions 2 and 3).

mod metadata;
mod reader;
pub mod write;

use core::ops::Range;
use std::collections::BTreeSet;

use crate::{dtype::DType, error::ModelError};
pub use metadata::{Metadata, Value};
use reader::{End, Reader};

/// Metadata entries and tensors of one file, at most: enough for any model, too few to exhaust memory.
const MAX_ENTRIES: u64 = 1 << 20;
/// Dimensions of a tensor, at most.
const MAX_DIMENSIONS: u32 = 4;
/// `general.alignment` where the file does not say.
const DEFAULT_ALIGNMENT: u32 = 32;
/// First request for a header, and the least it grows by.
const PREFIX_STEP_BYTES: u64 = 64 << 10;

/// How far a prefix of the file reaches.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// The whole header.
    Done(Box<Header>),
    /// Come back with a longer prefix.
    NeedMore {
        /// Bytes from the start of the file without which no progress is possible.
        at_least_bytes: u64,
    },
}

/// What a file says before its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Key-value pairs.
    pub metadata: Metadata,
    /// Tensors, in file order.
    pub tensors: Vec<Tensor>,
    /// Bytes from the start of the file to the end of the tensor list.
    pub header_bytes: u64,
}

/// A tensor as the header announces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Name.
    pub name: String,
    /// Storage type.
    pub dtype: DType,
    /// Product of all dimensions but the first.
    pub rows: u32,
    /// First dimension: elements of a row.
    pub cols: u32,
    /// Bytes, from the start of the file.
    pub range: Range<u64>,
}

impl Header {
    /// A tensor by name.
    ///
    /// # Errors
    /// [`ModelError::MissingTensor`].
    pub fn tensor(&self, name: &str) -> Result<&Tensor, ModelError> {
        self.find(name).ok_or_else(|| ModelError::MissingTensor {
            name: name.to_owned(),
        })
    }

    /// A tensor that not every model has.
    pub fn find(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }
}

/// Reads the header out of the first bytes of a file. With `file_bytes`, tensors beyond the end are refused.
///
/// # Errors
/// Bytes that are no GGUF header, or one that contradicts itself or the size of the file.
pub fn parse(bytes: &[u8], file_bytes: Option<u64>) -> Result<Progress, ModelError> {
    match header(&mut Reader::new(bytes), file_bytes) {
        Ok(header) => Ok(Progress::Done(Box::new(header))),
        Err(End::Wrong(error)) => Err(error),
        Err(End::OfPrefix { needed_bytes }) => match file_bytes {
            Some(file_bytes) if needed_bytes > file_bytes => Err(ModelError::Truncated {
                what: "the header".to_owned(),
                needed_bytes,
                file_bytes,
            }),
            _ => Ok(Progress::NeedMore {
                at_least_bytes: next_prefix(needed_bytes, file_bytes),
            }),
        },
    }
}

/// Grows in steps, so that a header takes a few requests, but never beyond the file.
fn next_prefix(needed_bytes: u64, file_bytes: Option<u64>) -> u64 {
    let step = needed_bytes
        .checked_next_multiple_of(PREFIX_STEP_BYTES)
        .unwrap_or(needed_bytes);
    file_bytes.map_or(step, |file_bytes| step.min(file_bytes))
}

fn header(reader: &mut Reader, file_bytes: Option<u64>) -> Result<Header, End> {
    if reader.take(4)? != b"GGUF" {
        return Err(ModelError::NotGguf.into());
    }
    let version = reader.u32()?;
    if version != 2 && version != 3 {
        return Err(ModelError::Version { version }.into());
    }
    let tensor_count = reader.count("tensors", MAX_ENTRIES)?;
    let entry_count = reader.count("metadata entries", MAX_ENTRIES)?;
    let metadata = Metadata::read(reader, entry_count)?;
    let mut announced = Vec::new();
    for _ in 0..tensor_count {
        announced.push(Announced::read(reader)?);
    }
    let header_bytes = reader.position();
    let alignment = metadata
        .u32("general.alignment")
        .unwrap_or(DEFAULT_ALIGNMENT);
    if !alignment.is_power_of_two() || alignment > 1 << 16 {
        return Err(ModelError::corrupt(format!("an alignment of {alignment}")).into());
    }
    let data_start = header_bytes
        .checked_next_multiple_of(u64::from(alignment))
        .ok_or_else(|| ModelError::corrupt("its header is too long".to_owned()))?;
    let tensors: Result<Vec<_>, _> = announced
        .into_iter()
        .map(|tensor| tensor.place(data_start, alignment))
        .collect();
    let tensors = tensors?;
    check_layout(&tensors, file_bytes)?;
    Ok(Header {
        metadata,
        tensors,
        header_bytes,
    })
}

/// Names are unique; bytes lie apart from each other and inside the file.
fn check_layout(tensors: &[Tensor], file_bytes: Option<u64>) -> Result<(), ModelError> {
    let mut names = BTreeSet::new();
    if let Some(twice) = tensors.iter().find(|tensor| !names.insert(&tensor.name)) {
        return Err(ModelError::corrupt(format!(
            "tensor {} appears twice",
            twice.name
        )));
    }
    let mut by_offset: Vec<_> = tensors.iter().collect();
    by_offset.sort_by_key(|tensor| tensor.range.start);
    for (tensor, next) in by_offset.iter().zip(by_offset.iter().skip(1)) {
        if next.range.start < tensor.range.end {
            return Err(ModelError::corrupt(format!(
                "tensors {} and {} overlap",
                tensor.name, next.name
            )));
        }
    }
    let beyond = |tensor: &&&Tensor| file_bytes.is_some_and(|bytes| tensor.range.end > bytes);
    if let Some(tensor) = by_offset.iter().find(beyond) {
        return Err(ModelError::Truncated {
            what: format!("tensor {}", tensor.name),
            needed_bytes: tensor.range.end,
            file_bytes: file_bytes.unwrap_or_default(),
        });
    }
    Ok(())
}

/// A tensor before it is known where the weights begin.
struct Announced {
    name: String,
    dtype: DType,
    rows: u32,
    cols: u32,
    offset: u64,
}

impl Announced {
    fn read(reader: &mut Reader) -> Result<Self, End> {
        let name = reader.string()?;
        let dimension_count = reader.u32()?;
        if dimension_count == 0 || dimension_count > MAX_DIMENSIONS {
            return Err(ModelError::corrupt(format!(
                "tensor {name} has {dimension_count} dimensions"
            ))
            .into());
        }
        let cols = reader.u64()?;
        let mut rows = 1_u64;
        for _ in 1..dimension_count {
            rows = rows.saturating_mul(reader.u64()?);
        }
        let type_code = reader.u32()?;
        let offset = reader.u64()?;
        let size = |elements: u64| {
            u32::try_from(elements)
                .ok()
                .filter(|elements| *elements > 0)
        };
        let (Some(rows), Some(cols)) = (size(rows), size(cols)) else {
            return Err(ModelError::corrupt(format!("tensor {name} is {rows} x {cols}")).into());
        };
        let dtype = DType::from_gguf(type_code).ok_or(ModelError::TensorType {
            tensor: name.clone(),
            type_code,
        })?;
        Ok(Self {
            name,
            dtype,
            rows,
            cols,
            offset,
        })
    }

    fn place(self, data_start: u64, alignment: u32) -> Result<Tensor, ModelError> {
        let Self {
            name,
            dtype,
            rows,
            cols,
            offset,
        } = self;
        let bytes = dtype
            .row_bytes(cols)
            .ok_or_else(|| {
                ModelError::corrupt(format!(
                    "a row of tensor {name} is no whole number of blocks"
                ))
            })?
            .checked_mul(u64::from(rows));
        let start = data_start
            .checked_add(offset)
            .filter(|_| offset.is_multiple_of(u64::from(alignment)));
        let end = start
            .zip(bytes)
            .and_then(|(start, bytes)| start.checked_add(bytes));
        let (Some(start), Some(end)) = (start, end) else {
            return Err(ModelError::corrupt(format!(
                "tensor {name} lies at {offset}"
            )));
        };
        Ok(Tensor {
            name,
            dtype,
            rows,
            cols,
            range: start..end,
        })
    }
}
