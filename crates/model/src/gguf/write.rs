//! A GGUF header (version 3) out of what it says.

use super::{DEFAULT_ALIGNMENT, Value};
use crate::dtype::DType;

/// A tensor to be announced; `offset` counts from where the weights begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Name.
    pub name: String,
    /// Storage type.
    pub dtype: DType,
    /// Rows; a vector has one.
    pub rows: u32,
    /// Elements of a row.
    pub cols: u32,
    /// A multiple of the default alignment.
    pub offset: u64,
}

/// The next offset where a tensor may begin.
pub const fn aligned(offset: u64) -> u64 {
    offset.next_multiple_of(DEFAULT_ALIGNMENT as u64)
}

/// The header, padded to where the weights begin. Values that a reader skips are left out.
pub fn header(fields: &[(String, Value)], tensors: &[Announcement]) -> Vec<u8> {
    let mut out = b"GGUF\x03\0\0\0".to_vec();
    let written: Vec<_> = fields
        .iter()
        .filter(|(_, value)| *value != Value::Skipped)
        .collect();
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((written.len() as u64).to_le_bytes());
    for (key, value) in written {
        push_text(&mut out, key);
        push_value(&mut out, value);
    }
    for tensor in tensors {
        push_text(&mut out, &tensor.name);
        let (dimensions, rows) = match tensor.rows {
            1 => (1_u32, None),
            rows => (2, Some(rows)),
        };
        out.extend(dimensions.to_le_bytes());
        for size in [Some(tensor.cols), rows].into_iter().flatten() {
            out.extend(u64::from(size).to_le_bytes());
        }
        out.extend(tensor.dtype.gguf_code().to_le_bytes());
        out.extend(tensor.offset.to_le_bytes());
    }
    out.resize(out.len().next_multiple_of(DEFAULT_ALIGNMENT as usize), 0);
    out
}

fn push_value(out: &mut Vec<u8>, value: &Value) {
    let array = |out: &mut Vec<u8>, kind: u32, len: usize| {
        out.extend(9_u32.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend((len as u64).to_le_bytes());
    };
    match value {
        Value::Integer(number) => {
            out.extend(10_u32.to_le_bytes());
            out.extend(u64::try_from(*number).unwrap_or(0).to_le_bytes());
        }
        Value::Float(number) => {
            out.extend(6_u32.to_le_bytes());
            out.extend((*number as f32).to_le_bytes());
        }
        Value::Bool(flag) => {
            out.extend(7_u32.to_le_bytes());
            out.push(u8::from(*flag));
        }
        Value::Text(text) => {
            out.extend(8_u32.to_le_bytes());
            push_text(out, text);
        }
        Value::Texts(texts) => {
            array(out, 8, texts.len());
            texts.iter().for_each(|text| push_text(out, text));
        }
        Value::Integers(numbers) => {
            array(out, 5, numbers.len());
            numbers
                .iter()
                .for_each(|number| out.extend(number.to_le_bytes()));
        }
        Value::Floats(numbers) => {
            array(out, 6, numbers.len());
            numbers
                .iter()
                .for_each(|number| out.extend(number.to_le_bytes()));
        }
        Value::Skipped => {}
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}
