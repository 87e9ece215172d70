//! Plain arrays: for other processors, and what the others are tested against.

use core::array::from_fn;

/// Eight 16-bit or four 32-bit integers.
#[derive(Clone, Copy)]
pub struct Integers([u32; 4]);

impl Integers {
    fn map16(self, op: impl Fn(i16) -> i16) -> Self {
        let lanes: [i16; 8] = bytemuck::cast(self.0);
        Self(bytemuck::cast(lanes.map(op)))
    }

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
        Self(words)
    }

    /// Eight times the same.
    #[inline(always)]
    pub fn splat16(value: i16) -> Self {
        Self(bytemuck::cast([value; 8]))
    }

    /// Bits that both have.
    #[inline(always)]
    pub fn and(self, other: Self) -> Self {
        Self(from_fn(|lane| self.0[lane] & other.0[lane]))
    }

    /// Sums of 32-bit lanes.
    #[inline(always)]
    pub fn add32(self, other: Self) -> Self {
        Self(from_fn(|lane| self.0[lane].wrapping_add(other.0[lane])))
    }

    /// 32-bit lane `l`: the lanes of register `l`, added.
    #[inline(always)]
    pub fn add_lanes(registers: [Self; 4]) -> Self {
        let quarters = |lanes: [u32; 4]| lanes.into_iter().fold(0, u32::wrapping_add);
        Self(registers.map(|register| quarters(register.0)))
    }

    /// 16-bit lanes without sign, shifted right.
    #[inline(always)]
    pub fn shr16<const BITS: i32>(self) -> Self {
        self.map16(|lane| (lane.cast_unsigned() >> BITS).cast_signed())
    }

    /// 16-bit lanes shifted left.
    #[inline(always)]
    pub fn shl16<const BITS: i32>(self) -> Self {
        self.map16(|lane| lane << BITS)
    }

    /// 16-bit lanes with sign, shifted right.
    #[inline(always)]
    pub fn sar16<const BITS: i32>(self) -> Self {
        self.map16(|lane| lane >> BITS)
    }

    /// 32-bit lanes shifted left.
    #[inline(always)]
    pub fn shl32<const BITS: i32>(self) -> Self {
        Self(self.0.map(|lane| lane << BITS))
    }

    /// 32-bit lanes with sign, shifted right.
    #[inline(always)]
    pub fn sar32<const BITS: i32>(self) -> Self {
        Self(
            self.0
                .map(|lane| (lane.cast_signed() >> BITS).cast_unsigned()),
        )
    }

    /// 32-bit lane `l`: the products of 16-bit lanes `2l` and `2l + 1`, added.
    #[inline(always)]
    pub fn dot16(self, other: Self) -> Self {
        let (a, b): ([i16; 8], [i16; 8]) = (bytemuck::cast(self.0), bytemuck::cast(other.0));
        let product = |lane: usize| i32::from(a[lane]) * i32::from(b[lane]);
        Self(from_fn(|lane| {
            (product(2 * lane) + product(2 * lane + 1)).cast_unsigned()
        }))
    }

    /// 32-bit lanes with sign, to the nearest single.
    #[inline(always)]
    pub fn to_floats(self) -> Floats {
        Floats(self.0.map(|lane| lane.cast_signed() as f32))
    }

    /// The same bits.
    #[inline(always)]
    pub fn as_floats(self) -> Floats {
        Floats(self.0.map(f32::from_bits))
    }
}

/// Four singles.
#[derive(Clone, Copy)]
pub struct Floats([f32; 4]);

impl Floats {
    /// Lane 0 first.
    #[inline(always)]
    pub fn from_array(lanes: [f32; 4]) -> Self {
        Self(lanes)
    }

    /// Lane 0 first.
    #[inline(always)]
    pub fn to_array(self) -> [f32; 4] {
        self.0
    }

    /// Four times the same.
    #[inline(always)]
    pub fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    /// Sums.
    #[inline(always)]
    pub fn add(self, other: Self) -> Self {
        Self(from_fn(|lane| self.0[lane] + other.0[lane]))
    }

    /// Products.
    #[inline(always)]
    pub fn mul(self, other: Self) -> Self {
        Self(from_fn(|lane| self.0[lane] * other.0[lane]))
    }
}
