//! What enters a product with a quantised weight, in 16 bits: such products are then exact, fast integer arithmetic.
//!
//! A block of 32 elements shares a scale of its largest magnitude / 32767, so an element is off by at most 1.6e-5 of that
//! magnitude. Eight bits would be no faster: WebAssembly multiplies 16-bit integers.

use super::registers::Integers;
use crate::{EngineError, memory::zeroed};

/// Elements that share a scale, as in the weights' formats.
pub const BLOCK: usize = 32;

/// Columns in 16 bits; room for as many as a call has.
pub struct Activations {
    /// columns x blocks.
    quants: Vec<[i16; BLOCK]>,
    /// columns x blocks: (scale, sum of the block's elements).
    scales: Vec<f32>,
    sums: Vec<f32>,
    blocks: usize,
}

/// One column.
#[derive(Clone, Copy)]
pub struct Column<'a> {
    quants: &'a [[i16; BLOCK]],
    /// What a quant is multiplied with, by block.
    pub scales: &'a [f32],
    /// Sum of the elements, by block.
    pub sums: &'a [f32],
}

impl Activations {
    /// Room for `elements` in blocks.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(elements: usize) -> Result<Self, EngineError> {
        let blocks = elements / BLOCK;
        Ok(Self {
            quants: zeroed(blocks)?,
            scales: zeroed(blocks)?,
            sums: zeroed(blocks)?,
            blocks: 0,
        })
    }

    /// Replaces what is held by `x`: columns x `cols`, a whole number of blocks.
    #[inline(always)]
    pub fn quantise(&mut self, x: &[f32], cols: usize) {
        self.blocks = cols / BLOCK;
        let held = self
            .quants
            .iter_mut()
            .zip(&mut self.scales)
            .zip(&mut self.sums);
        for (x, ((quants, scale), sum)) in x.as_chunks().0.iter().zip(held) {
            (*quants, *scale, *sum) = quantise(x);
        }
    }

    /// A column of what was last quantised.
    #[inline(always)]
    pub fn column(&self, index: usize) -> Column<'_> {
        let blocks = index * self.blocks..(index + 1) * self.blocks;
        Column {
            quants: &self.quants[blocks.clone()],
            scales: &self.scales[blocks.clone()],
            sums: &self.sums[blocks],
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.quants.capacity() * size_of::<[i16; BLOCK]>()
            + (self.scales.capacity() + self.sums.capacity()) * size_of::<f32>()
    }
}

impl Column<'_> {
    /// The quants of a block, in the order of [`position`].
    #[inline(always)]
    pub fn quants(&self, block: usize) -> [Integers; 4] {
        let bytes: [[u8; 16]; 4] = bytemuck::cast(self.quants[block]);
        bytes.map(Integers::from_bytes)
    }
}

/// Where element `index` of a block stands: the elements with an even index of either half, then the others. So they lie in the
/// low and high nibbles and bytes of a weight's 16-bit words.
const fn position(index: usize) -> usize {
    index % 2 * 16 + index / 16 * 8 + index % 16 / 2
}

/// Quants in the order of [`position`], scale and sum of a block.
#[inline(always)]
fn quantise(x: &[f32; BLOCK]) -> ([i16; BLOCK], f32, f32) {
    const LARGEST: f32 = 32767.0;
    /// Smaller ones count as zero: their reciprocal would be infinite.
    const SMALLEST: f32 = 1e-30;
    /// Adding 1.5 * 2^23 rounds to a whole number, which then stands in the low bits.
    const TO_WHOLE: f32 = 12_582_912.0;
    let mut largest = [0.0_f32; 8];
    for x in x.as_chunks::<8>().0 {
        for (largest, x) in largest.iter_mut().zip(x) {
            *largest = if x.abs() > *largest {
                x.abs()
            } else {
                *largest
            };
        }
    }
    let largest = largest.into_iter().fold(0.0, f32::max);
    if largest < SMALLEST {
        return ([0; BLOCK], 0.0, 0.0);
    }
    let (scale, inverse) = (largest / LARGEST, LARGEST / largest);
    let whole = x.map(|x| (x * inverse + TO_WHOLE).to_bits() as i16);
    let sum: i32 = whole.iter().map(|quant| i32::from(*quant)).sum();
    let mut quants = [0; BLOCK];
    for (index, quant) in whole.into_iter().enumerate() {
        quants[position(index)] = quant;
    }
    (quants, scale, scale * sum as f32)
}
