//! SSE2.
#![allow(
    unsafe_code,
    reason = "SAFETY, of every block: each x86-64 processor has SSE2, and nothing here is a pointer"
)]

use core::arch::x86_64::{
    __m128, __m128i, _mm_add_epi32, _mm_add_ps, _mm_and_si128, _mm_castsi128_ps, _mm_cvtepi32_ps,
    _mm_madd_epi16, _mm_mul_ps, _mm_set1_epi16, _mm_set1_ps, _mm_slli_epi16, _mm_slli_epi32,
    _mm_srai_epi16, _mm_srai_epi32, _mm_srli_epi16, _mm_unpackhi_epi32, _mm_unpackhi_epi64,
    _mm_unpacklo_epi32, _mm_unpacklo_epi64,
};

/// Eight 16-bit or four 32-bit integers.
#[derive(Clone, Copy)]
pub struct Integers(__m128i);

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
        Self(unsafe { _mm_set1_epi16(value) })
    }

    /// Bits that both have.
    #[inline(always)]
    pub fn and(self, other: Self) -> Self {
        Self(unsafe { _mm_and_si128(self.0, other.0) })
    }

    /// Sums of 32-bit lanes.
    #[inline(always)]
    pub fn add32(self, other: Self) -> Self {
        Self(unsafe { _mm_add_epi32(self.0, other.0) })
    }

    /// 32-bit lane `l`: the lanes of register `l`, added.
    #[inline(always)]
    pub fn add_lanes(registers: [Self; 4]) -> Self {
        let [a, b, c, d] = registers.map(|register| register.0);
        let pair = |a, b| {
            Self(unsafe { _mm_unpacklo_epi32(a, b) })
                .add32(Self(unsafe { _mm_unpackhi_epi32(a, b) }))
        };
        let (ab, cd) = (pair(a, b).0, pair(c, d).0);
        Self(unsafe { _mm_unpacklo_epi64(ab, cd) })
            .add32(Self(unsafe { _mm_unpackhi_epi64(ab, cd) }))
    }

    /// 16-bit lanes without sign, shifted right.
    #[inline(always)]
    pub fn shr16<const BITS: i32>(self) -> Self {
        Self(unsafe { _mm_srli_epi16::<BITS>(self.0) })
    }

    /// 16-bit lanes shifted left.
    #[inline(always)]
    pub fn shl16<const BITS: i32>(self) -> Self {
        Self(unsafe { _mm_slli_epi16::<BITS>(self.0) })
    }

    /// 16-bit lanes with sign, shifted right.
    #[inline(always)]
    pub fn sar16<const BITS: i32>(self) -> Self {
        Self(unsafe { _mm_srai_epi16::<BITS>(self.0) })
    }

    /// 32-bit lanes shifted left.
    #[inline(always)]
    pub fn shl32<const BITS: i32>(self) -> Self {
        Self(unsafe { _mm_slli_epi32::<BITS>(self.0) })
    }

    /// 32-bit lanes with sign, shifted right.
    #[inline(always)]
    pub fn sar32<const BITS: i32>(self) -> Self {
        Self(unsafe { _mm_srai_epi32::<BITS>(self.0) })
    }

    /// 32-bit lane `l`: the products of 16-bit lanes `2l` and `2l + 1`, added.
    #[inline(always)]
    pub fn dot16(self, other: Self) -> Self {
        Self(unsafe { _mm_madd_epi16(self.0, other.0) })
    }

    /// 32-bit lanes with sign, to the nearest single.
    #[inline(always)]
    pub fn to_floats(self) -> Floats {
        Floats(unsafe { _mm_cvtepi32_ps(self.0) })
    }

    /// The same bits.
    #[inline(always)]
    pub fn as_floats(self) -> Floats {
        Floats(unsafe { _mm_castsi128_ps(self.0) })
    }
}

/// Four singles.
#[derive(Clone, Copy)]
pub struct Floats(__m128);

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
        Self(unsafe { _mm_set1_ps(value) })
    }

    /// Sums.
    #[inline(always)]
    pub fn add(self, other: Self) -> Self {
        Self(unsafe { _mm_add_ps(self.0, other.0) })
    }

    /// Products.
    #[inline(always)]
    pub fn mul(self, other: Self) -> Self {
        Self(unsafe { _mm_mul_ps(self.0, other.0) })
    }
}
