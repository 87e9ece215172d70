//! Quantised blocks of 32 elements as 16-bit integers in registers.

use bytemuck::AnyBitPattern;

use super::registers::{Floats, Integers};

/// A block in the file's layout; x = scale * quant + minimum.
pub trait Block: AnyBitPattern {
    /// What quants are multiplied with, by block.
    fn scales(blocks: [&Self; 4]) -> Floats;
    /// What is then added, by block, if anything.
    fn minima(blocks: [&Self; 4]) -> Option<Floats>;
    /// Elements 0, 2, .. 14; 16, 18, .. 30; 1, 3, .. 15; 17, 19, .. 31.
    fn quants(&self) -> [Integers; 4];
}

/// See ggml-common.h, as for the others.
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub struct Q8_0 {
    scale: [u8; 2],
    quants: [[u8; 16]; 2],
}

impl Block for Q8_0 {
    #[inline(always)]
    fn scales(blocks: [&Self; 4]) -> Floats {
        low_halves(Integers::from_words(
            blocks.map(|block| u16::from_le_bytes(block.scale).into()),
        ))
    }

    #[inline(always)]
    fn minima(_: [&Self; 4]) -> Option<Floats> {
        None
    }

    #[inline(always)]
    fn quants(&self) -> [Integers; 4] {
        let [first, second] = self.quants.map(Integers::from_bytes);
        let even = |bytes: Integers| bytes.shl16::<8>().sar16::<8>();
        [
            even(first),
            even(second),
            first.sar16::<8>(),
            second.sar16::<8>(),
        ]
    }
}

/// Quants count from 8: the minimum is -8 times the scale.
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub struct Q4_0 {
    scale: [u8; 2],
    nibbles: [u8; 16],
}

impl Block for Q4_0 {
    #[inline(always)]
    fn scales(blocks: [&Self; 4]) -> Floats {
        low_halves(Integers::from_words(
            blocks.map(|block| u16::from_le_bytes(block.scale).into()),
        ))
    }

    #[inline(always)]
    fn minima(blocks: [&Self; 4]) -> Option<Floats> {
        Some(Self::scales(blocks).mul(Floats::splat(-8.0)))
    }

    #[inline(always)]
    fn quants(&self) -> [Integers; 4] {
        nibbles(self.nibbles)
    }
}

#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub struct Q4_1 {
    /// Scale, then minimum.
    halves: [u8; 4],
    nibbles: [u8; 16],
}

impl Q4_1 {
    #[inline(always)]
    fn halves(blocks: [&Self; 4]) -> Integers {
        Integers::from_words(blocks.map(|block| u32::from_le_bytes(block.halves)))
    }
}

impl Block for Q4_1 {
    #[inline(always)]
    fn scales(blocks: [&Self; 4]) -> Floats {
        low_halves(Self::halves(blocks))
    }

    #[inline(always)]
    fn minima(blocks: [&Self; 4]) -> Option<Floats> {
        Some(high_halves(Self::halves(blocks)))
    }

    #[inline(always)]
    fn quants(&self) -> [Integers; 4] {
        nibbles(self.nibbles)
    }
}

/// Low nibbles are elements 0..16, high ones 16..32.
#[inline(always)]
fn nibbles(bytes: [u8; 16]) -> [Integers; 4] {
    let words = Integers::from_bytes(bytes);
    let mask = Integers::splat16(15);
    [
        words.and(mask),
        words.shr16::<4>().and(mask),
        words.shr16::<8>().and(mask),
        words.shr16::<12>(),
    ]
}

/// The finite halves in the low 16 bits of four words, exact.
#[inline(always)]
fn low_halves(words: Integers) -> Floats {
    high_halves(words.shl32::<16>())
}

/// The finite halves in the high 16 bits of four words, exact.
#[inline(always)]
fn high_halves(words: Integers) -> Floats {
    /// Sign, exponent and mantissa, moved to where a single has them. The exponent is then too small by 112.
    const KEPT: u32 = 0x8fff_e000;
    const REBIAS: f32 = f32::from_bits((127 + 112) << 23);
    let moved = words.sar32::<3>().and(Integers::from_words([KEPT; 4]));
    moved.as_floats().mul(Floats::splat(REBIAS))
}
