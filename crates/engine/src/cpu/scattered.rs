//! Rows of the storage types whose quants do not lie in order, from the file's bytes to f32.

use model::{DType, blocks};

use super::dequantise::half_to_f32;

/// Writes the elements of one row. `bytes` is a whole row of `out.len()` elements in file layout.
pub fn row(dtype: DType, bytes: &[u8], out: &mut [f32]) {
    let mut quants = [0; 256];
    let blocks = bytes.chunks_exact(dtype.block_bytes() as usize);
    for (block, out) in blocks.zip(out.chunks_exact_mut(dtype.block_elements() as usize)) {
        blocks::quants(dtype, block, &mut quants);
        let mut halves = dtype.halves().iter().map(|at| half(block, *at));
        let (scale, minimum) = (halves.next().unwrap_or(0.0), halves.next().unwrap_or(0.0));
        match dtype {
            DType::Q6_K => {
                let scales = blocks::signed_scales(block).map(|group| scale * f32::from(group));
                let groups = out.chunks_exact_mut(16).zip(quants.chunks_exact(16));
                for ((out, quants), scale) in groups.zip(scales) {
                    scaled(out, quants, scale, 32.0, 0.0);
                }
            }
            DType::Q4_K | DType::Q5_K => {
                let [scales, minima] = blocks::scales_and_minima(block);
                let groups = out.chunks_exact_mut(32).zip(quants.chunks_exact(32));
                for ((out, quants), (group, lower)) in groups.zip(scales.into_iter().zip(minima)) {
                    let minimum = minimum * f32::from(lower);
                    scaled(out, quants, scale * f32::from(group), 0.0, -minimum);
                }
            }
            DType::Q5_1 => scaled(out, &quants, scale, 0.0, minimum),
            _ => scaled(out, &quants, scale, 16.0, 0.0),
        }
    }
}

/// scale * (quant - zero) + minimum.
#[inline(always)]
fn scaled(out: &mut [f32], quants: &[u8], scale: f32, zero: f32, minimum: f32) {
    for (out, quant) in out.iter_mut().zip(quants) {
        *out = scale * (f32::from(*quant) - zero) + minimum;
    }
}

fn half(block: &[u8], at: usize) -> f32 {
    let bytes = block.get(at..).and_then(<[u8]>::first_chunk);
    bytes.copied().map_or(0.0, half_to_f32)
}
