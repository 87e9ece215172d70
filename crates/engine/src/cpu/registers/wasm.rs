//! WebAssembly's.

use core::arch::wasm32::{
    f32x4_add, f32x4_convert_i32x4, f32x4_mul, f32x4_splat, i16x8_shl, i16x8_shr, i16x8_splat,
    i32x4_add, i32x4_dot_i16x8, i32x4_shl, i32x4_shr, i32x4_shuffle, i64x2_shuffle, u16x8_shr,
    v128, v128_and,
};

/// Eight 16-bit or four 32-bit integers.
#[derive(Clone, Copy)]
pub struct Integers(v128);

impl Integers {
    /// Little endian.
    #[inline(always)]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytemuck::cast(bytes))
    }

    /// Little endian.
    #[cfg(test)]
    #[inline(always)]
    pub fn to_bytes(self) -> [u8; 16] {
        bytemuck::cast(self.0)
    }

    /// Four 32-bit lanes.
    #[inline(always)]
    pub fn from_words(words: [u32; 4]) -> Self {
        Self(bytemuck::cast(words))
    }

    /// Eight times the same.
    #[inline(always)]
    pub fn splat16(value: i16) -> Self {
        Self(i16x8_splat(value))
    }

    /// Bits that both have.
    #[inline(always)]
    pub fn and(self, other: Self) -> Self {
        Self(v128_and(self.0, other.0))
    }

    /// Sums of 32-bit lanes.
    #[inline(always)]
    pub fn add32(self, other: Self) -> Self {
        Self(i32x4_add(self.0, other.0))
    }

    /// 32-bit lane `l`: the lanes of register `l`, added.
    #[inline(always)]
    pub fn add_lanes(registers: [Self; 4]) -> Self {
        let [a, b, c, d] = registers.map(|register| register.0);
        let pair = |a, b| {
            Self(i32x4_shuffle::<0, 4, 1, 5>(a, b)).add32(Self(i32x4_shuffle::<2, 6, 3, 7>(a, b)))
        };
        let (ab, cd) = (pair(a, b).0, pair(c, d).0);
        Self(i64x2_shuffle::<0, 2>(ab, cd)).add32(Self(i64x2_shuffle::<1, 3>(ab, cd)))
    }

    /// 16-bit lanes without sign, shifted right.
    #[inline(always)]
    pub fn shr16<const BITS: i32>(self) -> Self {
        Self(u16x8_shr(self.0, BITS as u32))
    }

    /// 16-bit lanes shifted left.
    #[inline(always)]
    pub fn shl16<const BITS: i32>(self) -> Self {
        Self(i16x8_shl(self.0, BITS as u32))
    }

    /// 16-bit lanes with sign, shifted right.
    #[inline(always)]
    pub fn sar16<const BITS: i32>(self) -> Self {
        Self(i16x8_shr(self.0, BITS as u32))
    }

    /// 32-bit lanes shifted left.
    #[inline(always)]
    pub fn shl32<const BITS: i32>(self) -> Self {
        Self(i32x4_shl(self.0, BITS as u32))
    }

    /// 32-bit lanes with sign, shifted right.
    #[inline(always)]
    pub fn sar32<const BITS: i32>(self) -> Self {
        Self(i32x4_shr(self.0, BITS as u32))
    }

    /// 32-bit lane `l`: the products of 16-bit lanes `2l` and `2l + 1`, added.
    #[inline(always)]
    pub fn dot16(self, other: Self) -> Self {
        Self(i32x4_dot_i16x8(self.0, other.0))
    }

    /// 32-bit lanes with sign, to the nearest single.
    #[inline(always)]
    pub fn to_floats(self) -> Floats {
        Floats(f32x4_convert_i32x4(self.0))
    }

    /// The same bits.
    #[inline(always)]
    pub fn as_floats(self) -> Floats {
        Floats(self.0)
    }
}

/// Four singles.
#[derive(Clone, Copy)]
pub struct Floats(v128);

impl Floats {
    /// Lane 0 first.
    #[inline(always)]
    pub fn from_array(lanes: [f32; 4]) -> Self {
        Self(bytemuck::cast(lanes))
    }

    /// Lane 0 first.
    #[inline(always)]
    pub fn to_array(self) -> [f32; 4] {
        bytemuck::cast(self.0)
    }

    /// Four times the same.
    #[inline(always)]
    pub fn splat(value: f32) -> Self {
        Self(f32x4_splat(value))
    }

    /// Sums.
    #[inline(always)]
    pub fn add(self, other: Self) -> Self {
        Self(f32x4_add(self.0, other.0))
    }

    /// Products.
    #[inline(always)]
    pub fn mul(self, other: Self) -> Self {
        Self(f32x4_mul(self.0, other.0))
    }
}
