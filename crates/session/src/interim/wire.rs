//! Columns of the residual stream as bytes.

use model::WireDtype;

/// Bytes that are not columns.
pub(crate) struct NotColumns;

pub(crate) fn bytes_per_column(dtype: WireDtype, width: u32) -> u64 {
    match dtype {
        WireDtype::F32 => 4 * u64::from(width),
        WireDtype::F16Scaled => 2 * u64::from(width) + 4,
    }
}

/// Appends; a dtype other than f32 appends nothing, which no frame header agrees with.
pub(crate) fn encode(dtype: WireDtype, _width: u32, values: &[f32], bytes: &mut Vec<u8>) {
    if dtype == WireDtype::F32 {
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
}

pub(crate) fn decode(
    dtype: WireDtype,
    width: u32,
    columns: u32,
    bytes: &[u8],
    values: &mut Vec<f32>,
) -> Result<(), NotColumns> {
    let expected = u64::from(columns) * bytes_per_column(dtype, width);
    if dtype != WireDtype::F32 || bytes.len() as u64 != expected {
        return Err(NotColumns);
    }
    let (words, _) = bytes.as_chunks::<4>();
    values.clear();
    values.extend(words.iter().copied().map(f32::from_le_bytes));
    Ok(())
}
