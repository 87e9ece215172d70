//! What enters a product with a quantised weight, in 16 bits: such products are then exact, fast integer arithmetic.
//!
//! A block of 32 elements shares a scale of its largest magnitude / 32767, so an element is off by at most 1.6e-5 of that
//! magnitude. Eight bits would be no faster: WebAssembly multiplies 16-bit integers.

use crate::{EngineError, memory::zeroed};

/// Elements that share a scale, as in the weights' formats.
pub const BLOCK: usize = 32;

/// Columns in 16 bits, in panels: side by side lie, block by block, those columns that are computed together.
pub struct Activations {
    quants: Vec<[i16; BLOCK]>,
    scales: Vec<f32>,
    sums: Vec<f32>,
    columns: usize,
    blocks: usize,
}

/// Some columns that are computed together.
#[derive(Clone, Copy)]
pub struct Panel<'a, const COLUMNS: usize> {
    /// Quants of each block, column by column, in the order of [`position`].
    pub quants: &'a [[[i16; BLOCK]; COLUMNS]],
    /// What they are multiplied with.
    pub scales: &'a [[f32; COLUMNS]],
    /// Sum of the elements of each block.
    pub sums: &'a [[f32; COLUMNS]],
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
            columns: 0,
            blocks: 0,
        })
    }

    /// Replaces what is held by `x`: columns x `cols`, a whole number of blocks.
    #[inline(always)]
    pub fn quantise(&mut self, x: &[f32], cols: usize) {
        self.blocks = cols / BLOCK;
        self.columns = x.len() / cols;
        for (first, columns) in panels(self.columns) {
            for column in 0..columns {
                let start = (first + column) * cols;
                let x = x[start..start + cols].as_chunks().0;
                let places = (first * self.blocks + column..).step_by(columns);
                for (x, at) in x.iter().zip(places) {
                    (self.quants[at], self.scales[at], self.sums[at]) = quantise(x);
                }
            }
        }
    }

    /// Blocks of a column.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// First column and width of every panel.
    pub fn panels(&self) -> impl Iterator<Item = (usize, usize)> {
        panels(self.columns)
    }

    /// The panel of columns `first .. first + COLUMNS`.
    #[inline(always)]
    pub fn panel<const COLUMNS: usize>(&self, first: usize) -> Panel<'_, COLUMNS> {
        let range = first * self.blocks..(first + COLUMNS) * self.blocks;
        Panel {
            quants: self.quants[range.clone()].as_chunks().0,
            scales: self.scales[range.clone()].as_chunks().0,
            sums: self.sums[range].as_chunks().0,
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.quants.capacity() * size_of::<[i16; BLOCK]>()
            + (self.scales.capacity() + self.sums.capacity()) * size_of::<f32>()
    }
}

/// Eight columns at a time, then four, then one.
fn panels(columns: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut first = 0;
    core::iter::from_fn(move || {
        let width = [8, 4, 1]
            .into_iter()
            .find(|width| first + width <= columns)?;
        first += width;
        Some((first - width, width))
    })
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
