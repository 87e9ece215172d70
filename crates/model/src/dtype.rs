//! How weights are stored in the file: blocks of elements along a row.

use serde::{Deserialize, Serialize};

/// Storage type of a weight tensor (GGML block layouts, ggml/src/ggml-common.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(non_camel_case_types)]
pub enum DType {
    /// 4 bytes per element, little endian.
    F32,
    /// IEEE half, little endian.
    F16,
    /// 32 elements in 18 bytes: f16 scale `d`, 16 bytes of nibbles; x = d * (q - 8).
    /// Byte j holds element j in its low and element j + 16 in its high nibble.
    Q4_0,
    /// 32 elements in 20 bytes: f16 scale `d`, f16 minimum `m`, nibbles as Q4_0; x = d * q + m.
    Q4_1,
    /// 32 elements in 34 bytes: f16 scale `d`, 32 signed bytes; x = d * q.
    Q8_0,
    /// The upper half of an F32.
    BF16,
    /// 32 elements in 22 bytes: f16 scale `d`, 32 fifth bits, nibbles as Q4_0; x = d * (q - 16).
    Q5_0,
    /// 32 elements in 24 bytes: f16 scale `d`, f16 minimum `m`, fifth bits and nibbles as Q5_0; x = d * q + m.
    Q5_1,
    /// 256 elements in 144 bytes: f16 `d` and `m`, 6-bit scale `s` and minimum `n` of each 32 elements, nibbles; x = d * s * q - m * n.
    Q4_K,
    /// 256 elements in 176 bytes: as Q4_K with fifth bits.
    Q5_K,
    /// 256 elements in 210 bytes: nibbles, two upper bits each, a signed byte `s` for each 16 elements, f16 `d`; x = d * s * (q - 32).
    Q6_K,
}

impl DType {
    /// Every one of them.
    pub const ALL: [Self; 11] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
    ];

    /// The type of a GGUF tensor-type number, if this engine runs it.
    pub const fn from_gguf(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::F32),
            1 => Some(Self::F16),
            2 => Some(Self::Q4_0),
            3 => Some(Self::Q4_1),
            6 => Some(Self::Q5_0),
            7 => Some(Self::Q5_1),
            8 => Some(Self::Q8_0),
            12 => Some(Self::Q4_K),
            13 => Some(Self::Q5_K),
            14 => Some(Self::Q6_K),
            30 => Some(Self::BF16),
            _ => None,
        }
    }

    /// The GGUF tensor-type number.
    pub const fn gguf_code(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q5_0 => 6,
            Self::Q5_1 => 7,
            Self::Q8_0 => 8,
            Self::Q4_K => 12,
            Self::Q5_K => 13,
            Self::Q6_K => 14,
            Self::BF16 => 30,
        }
    }

    /// Elements per block along a row.
    pub const fn block_elements(self) -> u32 {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q4_K | Self::Q5_K | Self::Q6_K => 256,
        }
    }

    /// Bytes per block.
    pub const fn block_bytes(self) -> u32 {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4_K => 144,
            Self::Q5_K => 176,
            Self::Q6_K => 210,
        }
    }

    /// Bytes of a row of `cols` elements; `None` when the row is not a whole number of blocks.
    pub const fn row_bytes(self, cols: u32) -> Option<u64> {
        if !cols.is_multiple_of(self.block_elements()) {
            return None;
        }
        Some((cols / self.block_elements()) as u64 * self.block_bytes() as u64)
    }

    /// Where the f16 numbers of a block lie, in bytes from its start.
    pub const fn halves(self) -> &'static [usize] {
        match self {
            Self::F32 | Self::BF16 => &[],
            Self::F16 | Self::Q4_0 | Self::Q5_0 | Self::Q8_0 => &[0],
            Self::Q4_1 | Self::Q5_1 | Self::Q4_K | Self::Q5_K => &[0, 2],
            Self::Q6_K => &[208],
        }
    }

    /// Whether the CPU executor multiplies it with inputs of 16 bits; rows of the others are turned into f32.
    pub const fn has_integer_products(self) -> bool {
        matches!(self, Self::Q4_0 | Self::Q4_1 | Self::Q8_0)
    }

    /// Name as people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q8_0 => "Q8_0",
            Self::Q4_K => "Q4_K",
            Self::Q5_K => "Q5_K",
            Self::Q6_K => "Q6_K",
            Self::BF16 => "BF16",
        }
    }
}
