//! One row of a weight, from the file's bytes to f32. Every step is an exact or a single rounded operation.

use core::hint::black_box;

use bytemuck::AnyBitPattern;
use model::DType;

/// Writes the elements of one row. `bytes` is a whole row of `out.len()` elements in file layout.
#[inline(always)]
pub fn row(dtype: DType, bytes: &[u8], out: &mut [f32]) {
    match dtype {
        DType::F32 => f32_row(bytes, out),
        DType::F16 => f16_row(bytes, out),
        DType::Q8_0 => q8_0_row(bytes, out),
        DType::Q4_0 => q4_0_row(bytes, out),
        DType::Q4_1 => q4_1_row(bytes, out),
    }
}

#[inline(always)]
fn f32_row(bytes: &[u8], out: &mut [f32]) {
    for (element, out) in bytes.as_chunks::<4>().0.iter().zip(out) {
        *out = f32::from_le_bytes(*element);
    }
}

#[inline(always)]
fn f16_row(bytes: &[u8], out: &mut [f32]) {
    for (element, out) in bytes.as_chunks::<2>().0.iter().zip(out) {
        *out = half_to_f32(*element);
    }
}

/// Layout of the file's blocks: 32 elements each, halves and bytes only, so that any address will do.
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
struct BlockQ8_0 {
    scale: [u8; 2],
    quants: [i8; 32],
}

#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
struct BlockQ4_0 {
    scale: [u8; 2],
    nibbles: [u8; 16],
}

#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
struct BlockQ4_1 {
    scale: [u8; 2],
    minimum: [u8; 2],
    nibbles: [u8; 16],
}

#[inline(always)]
fn q8_0_row(bytes: &[u8], out: &mut [f32]) {
    each_block::<BlockQ8_0>(bytes, out, |block, out| {
        let scale = half_to_f32(block.scale);
        for (out, quant) in out.iter_mut().zip(block.quants) {
            *out = scale * f32::from(quant);
        }
    });
}

#[inline(always)]
fn q4_0_row(bytes: &[u8], out: &mut [f32]) {
    each_block::<BlockQ4_0>(bytes, out, |block, out| {
        let scale = half_to_f32(block.scale);
        write_nibbles(block.nibbles, out, |quant| scale * (quant - 8.0));
    });
}

#[inline(always)]
fn q4_1_row(bytes: &[u8], out: &mut [f32]) {
    each_block::<BlockQ4_1>(bytes, out, |block, out| {
        let scale = half_to_f32(block.scale);
        let minimum = half_to_f32(block.minimum);
        write_nibbles(block.nibbles, out, |quant| scale * quant + minimum);
    });
}

#[inline(always)]
fn each_block<B: AnyBitPattern>(
    bytes: &[u8],
    out: &mut [f32],
    dequantise: impl Fn(&B, &mut [f32; 32]),
) {
    for (block, out) in bytemuck::cast_slice(bytes)
        .iter()
        .zip(out.as_chunks_mut().0)
    {
        dequantise(block, out);
        // Keeps the compiler from putting one element of each of eight blocks into a register, which takes three times as long.
        black_box(());
    }
}

/// The low nibbles are the first 16 elements, the high ones the last 16.
#[inline(always)]
fn write_nibbles(nibbles: [u8; 16], out: &mut [f32; 32], element: impl Fn(f32) -> f32) {
    let (low, high) = out.split_at_mut(16);
    for (out, byte) in low.iter_mut().zip(nibbles) {
        *out = element(f32::from(byte & 15));
    }
    for (out, byte) in high.iter_mut().zip(nibbles) {
        *out = element(f32::from(byte >> 4));
    }
}

/// IEEE half to single, exact, without a table or a branch on the common path.
#[inline(always)]
fn half_to_f32(bytes: [u8; 2]) -> f32 {
    let half = u32::from(u16::from_le_bytes(bytes));
    let sign = (half & 0x8000) << 16;
    let magnitude = half & 0x7fff;
    // A half's exponent and mantissa read as a single's are too small by 2^112; subnormals come out right too.
    const REBIAS: f32 = f32::from_bits((127 + 112) << 23);
    let finite = f32::from_bits(magnitude << 13) * REBIAS;
    let infinite_or_nan = magnitude >= 0x7c00;
    let exponent = if infinite_or_nan { 0x7f80_0000 } else { 0 };
    f32::from_bits(sign | exponent | finite.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_half_is_converted_as_the_half_crate_does() {
        for bits in 0..=u16::MAX {
            let ours = half_to_f32(bits.to_le_bytes());
            let theirs = half::f16::from_bits(bits).to_f32();
            assert!(
                ours.to_bits() == theirs.to_bits() || (ours.is_nan() && theirs.is_nan()),
                "{bits:#06x}: {ours} {theirs}"
            );
        }
    }
}
