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
}

impl DType {
    /// The type of a GGUF tensor-type number, if this engine runs it.
    pub const fn from_gguf(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::F32),
            1 => Some(Self::F16),
            2 => Some(Self::Q4_0),
            3 => Some(Self::Q4_1),
            8 => Some(Self::Q8_0),
            _ => None,
        }
    }

    /// Elements per block along a row.
    pub const fn block_elements(self) -> u32 {
        match self {
            Self::F32 | Self::F16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q8_0 => 32,
        }
    }

    /// Bytes per block.
    pub const fn block_bytes(self) -> u32 {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q8_0 => 34,
        }
    }

    /// Bytes of a row of `cols` elements; `None` when the row is not a whole number of blocks.
    pub const fn row_bytes(self, cols: u32) -> Option<u64> {
        if !cols.is_multiple_of(self.block_elements()) {
            return None;
        }
        Some((cols / self.block_elements()) as u64 * self.block_bytes() as u64)
    }

    /// Name as people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q8_0 => "Q8_0",
        }
    }
}
