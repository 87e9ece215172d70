//! Halves in a weight that are not finite: checked once at load, so that no kernel has to.

use model::DType;

/// Whether every scale, minimum and half of these whole blocks is finite.
pub fn halves_are_finite(dtype: DType, bytes: &[u8]) -> bool {
    let halves = match dtype {
        DType::F32 => return true,
        DType::F16 | DType::Q8_0 | DType::Q4_0 => 1,
        DType::Q4_1 => 2,
    };
    bytes
        .chunks_exact(dtype.block_bytes() as usize)
        .all(|block| block.as_chunks().0.iter().take(halves).all(is_finite))
}

/// Neither infinite nor not a number.
pub fn is_finite(half: &[u8; 2]) -> bool {
    u16::from_le_bytes(*half) & 0x7c00 != 0x7c00
}
