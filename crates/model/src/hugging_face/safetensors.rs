//! Headers of safetensors files: 8 bytes of length, JSON, then the tensors (github.com/huggingface/safetensors, "Format").

use core::ops::Range;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{dtype::DType, error::ModelError};

/// Longest header a phone reads, as in the format's own library.
pub const MAX_HEADER_BYTES: u64 = 100_000_000;
/// Bytes of the length in front of the header.
pub const LENGTH_BYTES: u64 = 8;

/// A tensor of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// F32, F16 or BF16.
    pub dtype: DType,
    /// Product of all dimensions but the last.
    pub rows: u32,
    /// Last dimension.
    pub cols: u32,
    /// Bytes, from the start of the file.
    pub range: Range<u64>,
}

impl Tensor {
    /// A tensor of this shape whose bytes begin at `start`; `None` if it has no elements, or too many.
    pub fn at(dtype: DType, shape: &[u64], start: u64) -> Option<Self> {
        let (cols, outer) = shape.split_last().unwrap_or((&1, &[]));
        let product = |product: u64, size: &u64| product.checked_mul(*size);
        let size = |size: u64| u32::try_from(size).ok().filter(|size| *size > 0);
        let (rows, cols) = (size(outer.iter().try_fold(1, product)?)?, size(*cols)?);
        let bytes = dtype.row_bytes(cols)?.checked_mul(u64::from(rows))?;
        Some(Self {
            dtype,
            rows,
            cols,
            range: start..start.checked_add(bytes)?,
        })
    }
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// Bytes of the header with the length in front of it, from the first 8 bytes of a file.
///
/// # Errors
/// A header longer than [`MAX_HEADER_BYTES`].
pub fn header_bytes(length: [u8; 8]) -> Result<u64, ModelError> {
    let bytes = u64::from_le_bytes(length);
    if bytes > MAX_HEADER_BYTES {
        return Err(ModelError::corrupt(format!(
            "its header claims {bytes} bytes"
        )));
    }
    Ok(LENGTH_BYTES + bytes)
}

/// Tensors by name. `header` is the whole header with the length in front of it. Tensors of integers, which no model here reads, are
/// left out.
///
/// # Errors
/// No header of this form, one that contradicts itself or the size of the file, or a floating point type that is not known.
pub fn parse(header: &[u8], file_bytes: u64) -> Result<BTreeMap<String, Tensor>, ModelError> {
    let (length, json) = header
        .split_first_chunk::<8>()
        .ok_or_else(|| ModelError::corrupt("its header is too short".to_owned()))?;
    let data_start = header_bytes(*length)?;
    let json = usize::try_from(data_start - LENGTH_BYTES)
        .ok()
        .and_then(|len| json.get(..len))
        .ok_or_else(|| ModelError::corrupt("its header is cut off".to_owned()))?;
    let entries: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(json).map_err(|error| ModelError::corrupt(error.to_string()))?;
    let mut tensors = BTreeMap::new();
    for (name, entry) in entries {
        if name == "__metadata__" {
            continue;
        }
        let entry: Entry = serde_json::from_value(entry)
            .map_err(|error| ModelError::corrupt(format!("tensor {name}: {error}")))?;
        if let Some(tensor) = entry.place(&name, data_start, file_bytes)? {
            tensors.insert(name, tensor);
        }
    }
    Ok(tensors)
}

impl Entry {
    fn place(
        &self,
        name: &str,
        data_start: u64,
        file_bytes: u64,
    ) -> Result<Option<Tensor>, ModelError> {
        let dtype = match self.dtype.as_str() {
            "F32" => DType::F32,
            "F16" => DType::F16,
            "BF16" => DType::BF16,
            "BOOL" | "U8" | "I8" | "I16" | "U16" | "I32" | "U32" | "I64" | "U64" => {
                return Ok(None);
            }
            other => {
                return Err(ModelError::SourceType {
                    tensor: name.to_owned(),
                    dtype: other.to_owned(),
                });
            }
        };
        let [start, end] = self
            .data_offsets
            .map(|offset| data_start.checked_add(offset));
        let placed = || {
            let tensor = Tensor::at(dtype, &self.shape, start?)?;
            let fits = tensor.range.end == end? && tensor.range.end <= file_bytes;
            fits.then_some(tensor)
        };
        let placed = placed().ok_or_else(|| {
            let (shape, offsets) = (&self.shape, self.data_offsets);
            ModelError::corrupt(format!("tensor {name} is {shape:?} at {offsets:?}"))
        })?;
        Ok(Some(placed))
    }
}
