//! Halves in a weight that are not finite: checked once at load, so that no kernel has to.

use model::DType;

/// Whether every scale, minimum and half of these whole blocks is finite.
pub fn halves_are_finite(dtype: DType, bytes: &[u8]) -> bool {
    if dtype == DType::BF16 {
        return bytes.as_chunks().0.iter().all(upper_half_is_finite);
    }
    let halves = dtype.halves();
    let finite = |block: &[u8], at: usize| {
        let half = block.get(at..).and_then(<[u8]>::first_chunk);
        half.is_some_and(is_finite)
    };
    halves.is_empty()
        || bytes
            .chunks_exact(dtype.block_bytes() as usize)
            .all(|block| halves.iter().all(|at| finite(block, *at)))
}

/// Of an f32.
fn upper_half_is_finite(bytes: &[u8; 2]) -> bool {
    u16::from_le_bytes(*bytes) & 0x7f80 != 0x7f80
}

/// Neither infinite nor not a number.
pub fn is_finite(half: &[u8; 2]) -> bool {
    u16::from_le_bytes(*half) & 0x7c00 != 0x7c00
}
