//! f32 rows as they are stored: the reference quantisation of ggml (ggml/src/ggml-quants.c).

use half::{bf16, f16};

use crate::dtype::DType;

/// What weights of a repository become while they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// What they are.
    Keep,
    /// 8 bits.
    Q8_0,
    /// 4 bits.
    Q4_0,
}

impl Target {
    /// Type of a matrix with rows of `cols` elements: rows that are no whole number of blocks become F16, as llama.cpp does it.
    pub const fn dtype(self, source: DType, cols: u32) -> DType {
        let quantised = match self {
            Self::Keep => return source,
            Self::Q8_0 => DType::Q8_0,
            Self::Q4_0 => DType::Q4_0,
        };
        if cols.is_multiple_of(quantised.block_elements()) {
            quantised
        } else {
            DType::F16
        }
    }
}

/// Elements of a row that is stored as F32, F16 or BF16.
pub fn elements(dtype: DType, bytes: &[u8]) -> Vec<f32> {
    let halves = || bytes.as_chunks::<2>().0.iter();
    match dtype {
        DType::F16 => halves()
            .map(|bytes| f16::from_le_bytes(*bytes).to_f32())
            .collect(),
        DType::BF16 => halves()
            .map(|bytes| bf16::from_le_bytes(*bytes).to_f32())
            .collect(),
        _ => bytes
            .as_chunks()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect(),
    }
}

/// Appends a row of whole blocks.
pub fn push_row(dtype: DType, row: &[f32], out: &mut Vec<u8>) {
    match dtype {
        DType::F16 => row
            .iter()
            .for_each(|x| out.extend(f16::from_f32(*x).to_le_bytes())),
        DType::BF16 => row
            .iter()
            .for_each(|x| out.extend(bf16::from_f32(*x).to_le_bytes())),
        DType::Q8_0 => row
            .as_chunks()
            .0
            .iter()
            .for_each(|block| push_q8_0(block, out)),
        DType::Q4_0 => row
            .as_chunks()
            .0
            .iter()
            .for_each(|block| push_q4_0(block, out)),
        _ => row.iter().for_each(|x| out.extend(x.to_le_bytes())),
    }
}

fn push_q8_0(block: &[f32; 32], out: &mut Vec<u8>) {
    let largest = block
        .iter()
        .fold(0.0_f32, |largest, x| largest.max(x.abs()));
    let scale = largest / 127.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    out.extend(f16::from_f32(scale).to_le_bytes());
    out.extend(block.map(|x| ((x * inverse).round() as i8).cast_unsigned()));
}

/// The element of the largest magnitude becomes -8.
fn push_q4_0(block: &[f32; 32], out: &mut Vec<u8>) {
    let mut extreme = 0.0_f32;
    for x in block {
        if x.abs() > extreme.abs() {
            extreme = *x;
        }
    }
    let scale = extreme / -8.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let quant = |x: &f32| (f64::from(*x) * f64::from(inverse) + 8.5).min(15.0) as u8;
    out.extend(f16::from_f32(scale).to_le_bytes());
    let (low, high) = block.split_at(16);
    out.extend(
        low.iter()
            .zip(high)
            .map(|(low, high)| quant(low) | quant(high) << 4),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    macro_rules! fixture {
        ($name:literal) => {
            include_bytes!(concat!("../../../../tests/fixtures/blocks/", $name)).as_slice()
        };
    }

    #[test]
    fn rows_are_quantised_as_another_program_does() {
        let pairs = [
            (DType::F16, fixture!("F16.from.f32"), fixture!("F16.bin")),
            (DType::BF16, fixture!("BF16.from.f32"), fixture!("BF16.bin")),
            (DType::Q8_0, fixture!("Q8_0.from.f32"), fixture!("Q8_0.bin")),
            (DType::Q4_0, fixture!("Q4_0.from.f32"), fixture!("Q4_0.bin")),
        ];
        for (dtype, given, expected) in pairs {
            let mut out = Vec::new();
            push_row(dtype, &elements(DType::F32, given), &mut out);
            assert!(out == expected, "{dtype:?}");
        }
    }
}
