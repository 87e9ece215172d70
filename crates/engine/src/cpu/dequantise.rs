//! One row of a weight, from the file's bytes to f32. Every step is an exact or a single rounded operation.

use core::hint::black_box;

use bytemuck::{AnyBitPattern, cast_slice};
use model::DType;

use super::scattered;

/// Writes the elements of one row. `bytes` is a whole row of `out.len()` elements in file layout.
#[inline(always)]
pub fn row(dtype: DType, bytes: &[u8], out: &mut [f32]) {
    match dtype {
        DType::F32 => {
            for (element, out) in bytes.as_chunks::<4>().0.iter().zip(out) {
                *out = f32::from_le_bytes(*element);
            }
        }
        DType::F16 => {
            for (element, out) in bytes.as_chunks::<2>().0.iter().zip(out) {
                *out = half_to_f32(*element);
            }
        }
        DType::Q8_0 => blocks::<BlockQ8_0>(bytes, out),
        DType::Q4_0 => blocks::<BlockQ4_0>(bytes, out),
        DType::Q4_1 => blocks::<BlockQ4_1>(bytes, out),
        DType::BF16 => {
            for ([low, high], out) in bytes.as_chunks().0.iter().zip(out) {
                *out = f32::from_le_bytes([0, 0, *low, *high]);
            }
        }
        DType::Q5_0 | DType::Q5_1 | DType::Q4_K | DType::Q5_K | DType::Q6_K => {
            scattered::row(dtype, bytes, out);
        }
    }
}

/// 32 elements in the file's layout: halves and bytes only, so that any address will do.
/// `inline(always)` throughout: a call from code for wider registers would fall back to narrow ones.
trait Block: AnyBitPattern {
    fn dequantise(&self, out: &mut [f32; 32]);
}

/// A high nibble is left in place and its scale is divided instead: exact, and cheaper than a shift of bytes.
const SIXTEENTH: f32 = 1.0 / 16.0;

#[inline(always)]
fn blocks<B: Block>(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in cast_slice::<_, B>(bytes).iter().zip(out.as_chunks_mut().0) {
        block.dequantise(out);
        // Keeps the compiler from putting one element of each of eight blocks into a register, which takes three times as long.
        black_box(());
    }
}

#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
struct BlockQ8_0 {
    scale: [u8; 2],
    quants: [i8; 32],
}

impl Block for BlockQ8_0 {
    #[inline(always)]
    fn dequantise(&self, out: &mut [f32; 32]) {
        let scale = half_to_f32(self.scale);
        for (out, quant) in out.iter_mut().zip(self.quants) {
            *out = scale * f32::from(quant);
        }
    }
}

#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
struct BlockQ4_0 {
    scale: [u8; 2],
    nibbles: [u8; 16],
}

impl Block for BlockQ4_0 {
    #[inline(always)]
    fn dequantise(&self, out: &mut [f32; 32]) {
        let scale = half_to_f32(self.scale);
        let (low, high) = out.split_at_mut(16);
        for (out, byte) in low.iter_mut().zip(self.nibbles) {
            *out = scale * (f32::from(byte & 15) - 8.0);
        }
        for (out, byte) in high.iter_mut().zip(self.nibbles) {
            *out = scale * SIXTEENTH * (f32::from(byte & 0xf0) - 128.0);
        }
    }
}

#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
struct BlockQ4_1 {
    scale: [u8; 2],
    minimum: [u8; 2],
    nibbles: [u8; 16],
}

impl Block for BlockQ4_1 {
    #[inline(always)]
    fn dequantise(&self, out: &mut [f32; 32]) {
        let scale = half_to_f32(self.scale);
        let minimum = half_to_f32(self.minimum);
        let (low, high) = out.split_at_mut(16);
        for (out, byte) in low.iter_mut().zip(self.nibbles) {
            *out = scale * f32::from(byte & 15) + minimum;
        }
        for (out, byte) in high.iter_mut().zip(self.nibbles) {
            *out = scale * SIXTEENTH * f32::from(byte & 0xf0) + minimum;
        }
    }
}

/// Finite IEEE half to single, exact. Asking whether it is finite here would cost a tenth of the time of a token.
#[inline(always)]
pub fn half_to_f32(bytes: [u8; 2]) -> f32 {
    // Sign, exponent and mantissa moved to where a single has them.
    let moved = (i32::from(i16::from_le_bytes(bytes)) << 13).cast_unsigned() & 0x8fff_e000;
    // The exponent is then too small by 112; the product is right for subnormals too.
    const REBIAS: f32 = f32::from_bits((127 + 112) << 23);
    f32::from_bits(moved) * REBIAS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::finite::is_finite;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_finite_half_is_converted_as_the_half_crate_does() {
        for bits in 0..=u16::MAX {
            let bytes = bits.to_le_bytes();
            let theirs = half::f16::from_bits(bits);
            assert_eq!(is_finite(&bytes), theirs.is_finite(), "{bits:#06x}");
            if theirs.is_finite() {
                assert_eq!(
                    half_to_f32(bytes).to_bits(),
                    theirs.to_f32().to_bits(),
                    "{bits:#06x}"
                );
            }
        }
    }
}
