//! Quants and scales out of the blocks whose bits do not lie in order (ggml/src/ggml-quants.c).

use crate::dtype::DType;

/// A block of 256 elements at most, as unsigned quants in the order of its elements.
pub type Quants = [u8; 256];

/// Writes the quants of one block. Types whose quants lie in order have none here, nor has a block of the wrong length.
pub fn quants(dtype: DType, block: &[u8], out: &mut Quants) {
    match dtype {
        DType::Q5_0 => fifth_bits_of_32(block, 2, out),
        DType::Q5_1 => fifth_bits_of_32(block, 4, out),
        DType::Q4_K => nibbles_of_64(block.get(16..144), out),
        DType::Q5_K => {
            nibbles_of_64(block.get(48..176), out);
            for (index, group) in out.chunks_exact_mut(32).enumerate() {
                for (quant, bits) in group.iter_mut().zip(block.get(16..48).unwrap_or_default()) {
                    *quant |= (bits >> index & 1) << 4;
                }
            }
        }
        DType::Q6_K => six_bits(block, out),
        DType::F32 | DType::F16 | DType::BF16 | DType::Q4_0 | DType::Q4_1 | DType::Q8_0 => {}
    }
}

/// Scales and minima of the eight groups of a Q4_K or Q5_K block, six bits each.
pub fn scales_and_minima(block: &[u8]) -> [[u8; 8]; 2] {
    let mut of = [[0; 8]; 2];
    let Some([low @ .., a, b, c, d]) = block.get(4..16).and_then(<[u8]>::first_chunk::<12>) else {
        return of;
    };
    let (scales, minima) = low.split_at(4);
    let [scale_of, minimum_of] = &mut of;
    for (groups, bytes) in [(scale_of, scales), (minimum_of, minima)] {
        let (first, second) = groups.split_at_mut(4);
        for ((first, second), byte) in first.iter_mut().zip(second).zip(bytes) {
            *first = byte & 63;
            // Its upper two bits belong to the group four further on, whose lower four follow.
            *second = byte >> 6 << 4;
        }
    }
    let [scale_of, minimum_of] = &mut of;
    let later = scale_of.iter_mut().zip(minimum_of).skip(4);
    for ((scale, minimum), byte) in later.zip([a, b, c, d]) {
        *scale |= byte & 15;
        *minimum |= byte >> 4;
    }
    of
}

/// Scales of the sixteen groups of a Q6_K block.
pub fn signed_scales(block: &[u8]) -> [i8; 16] {
    let bytes = block.get(192..208).and_then(<[u8]>::first_chunk::<16>);
    bytes.map_or([0; 16], |bytes| bytes.map(u8::cast_signed))
}

/// Four bytes of fifth bits from `at` on, then nibbles: low ones are elements 0..16, high ones 16..32.
fn fifth_bits_of_32(block: &[u8], at: usize, out: &mut Quants) {
    let Some((fifth, nibbles)) = block.get(at..).and_then(<[u8]>::split_first_chunk::<4>) else {
        return;
    };
    let fifth = u32::from_le_bytes(*fifth);
    let (low, high) = out.split_at_mut(16);
    for (index, ((low, high), byte)) in low.iter_mut().zip(high).zip(nibbles).enumerate() {
        let bit = |index: usize| (fifth >> index & 1) as u8;
        *low = byte & 15 | bit(index) << 4;
        *high = byte >> 4 | bit(index + 16) << 4;
    }
}

/// Of each 32 bytes, low nibbles are 32 elements and high ones the next 32.
fn nibbles_of_64(nibbles: Option<&[u8]>, out: &mut Quants) {
    let bytes = nibbles.unwrap_or_default().chunks_exact(32);
    for (out, bytes) in out.chunks_exact_mut(64).zip(bytes) {
        let (low, high) = out.split_at_mut(32);
        for ((low, high), byte) in low.iter_mut().zip(high).zip(bytes) {
            *low = byte & 15;
            *high = byte >> 4;
        }
    }
}

/// Of each 128 elements: 64 bytes of nibbles (low ones are elements 0..64), 32 bytes of upper bits (two for each of elements i,
/// i + 32, i + 64, i + 96).
fn six_bits(block: &[u8], out: &mut Quants) {
    let nibbles = block.get(..128).unwrap_or_default().chunks_exact(64);
    let upper = block.get(128..192).unwrap_or_default().chunks_exact(32);
    for ((out, nibbles), upper) in out.chunks_exact_mut(128).zip(nibbles).zip(upper) {
        let (low, high) = out.split_at_mut(64);
        for ((low, high), byte) in low.iter_mut().zip(high).zip(nibbles) {
            *low = byte & 15;
            *high = byte >> 4;
        }
        for (index, group) in out.chunks_exact_mut(32).enumerate() {
            for (quant, bits) in group.iter_mut().zip(upper) {
                *quant |= (bits >> (2 * index) & 3) << 4;
            }
        }
    }
}
