//! Rows in file layout, turned into the words the kernels read: quants and scales apart, everything aligned.

use model::{DType, Weight, blocks};

/// Words of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowLayout {
    dtype: DType,
    /// Elements.
    pub cols: u32,
    /// Elements / 8, rounded up.
    pub vec8s: u32,
    /// Words of elements or quants.
    pub quant_words: u32,
    /// Words of scales and minima.
    pub scale_words: u32,
}

impl RowLayout {
    /// Of every row of a weight.
    pub const fn of(weight: &Weight) -> Self {
        let vec8s = weight.cols.div_ceil(8);
        let blocks = weight.cols / weight.dtype.block_elements();
        let (quant_words, scale_words) = match weight.dtype {
            DType::F32 => (8 * vec8s, 0),
            DType::F16 | DType::BF16 => (4 * vec8s, 0),
            DType::Q8_0 => (8 * blocks, blocks.div_ceil(2)),
            DType::Q4_0 => (4 * blocks, blocks.div_ceil(2)),
            DType::Q4_1 => (4 * blocks, blocks),
            DType::Q5_0 => (5 * blocks, blocks.div_ceil(2)),
            DType::Q5_1 => (5 * blocks, blocks),
            DType::Q4_K => (8 * 4 * blocks, 4 * blocks),
            DType::Q5_K => (8 * 5 * blocks, 4 * blocks),
            DType::Q6_K => (8 * 6 * blocks, 5 * blocks),
        };
        Self {
            dtype: weight.dtype,
            cols: weight.cols,
            vec8s,
            quant_words,
            scale_words,
        }
    }

    /// Bytes of a row on the GPU.
    pub const fn bytes(&self) -> u64 {
        4 * (self.quant_words as u64 + self.scale_words as u64)
    }

    /// Appends the words of one row in file layout.
    pub fn push(&self, row: &[u8], quants: &mut Vec<u32>, scales: &mut Vec<u32>) {
        let ends = (
            quants.len() + self.quant_words as usize,
            scales.len() + self.scale_words as usize,
        );
        let blocks = row.chunks_exact(self.dtype.block_bytes() as usize);
        match self.dtype {
            DType::F32 => quants.extend(blocks.map(word)),
            DType::F16 | DType::BF16 => quants.extend(row.chunks(4).map(word)),
            DType::Q8_0 => push_blocks(blocks, quants, scales, |quants| {
                quants.chunks_exact(4).map(word)
            }),
            DType::Q4_0 => push_blocks(blocks, quants, scales, nibble_words),
            DType::Q4_1 => {
                for block in blocks {
                    let (scale_and_minimum, nibbles) = block.split_at(4);
                    scales.push(word(scale_and_minimum));
                    quants.extend(nibble_words(nibbles));
                }
            }
            DType::Q5_0 | DType::Q5_1 | DType::Q4_K | DType::Q5_K | DType::Q6_K => {
                self.push_scattered(blocks, quants, scales);
            }
        }
        quants.resize(ends.0, 0);
        scales.resize(ends.1, 0);
    }
}

impl RowLayout {
    /// Of each 32 elements, the words of their lower four bits and then those of their upper bits.
    fn push_scattered<'a>(
        &self,
        blocks: impl Iterator<Item = &'a [u8]>,
        quants: &mut Vec<u32>,
        scales: &mut Vec<u32>,
    ) {
        let elements = self.dtype.block_elements() as usize;
        let upper_bits = match self.dtype {
            DType::Q4_K => 0,
            DType::Q6_K => 2,
            _ => 1,
        };
        let mut unpacked = [0; 256];
        for (index, block) in blocks.enumerate() {
            blocks::quants(self.dtype, block, &mut unpacked);
            for group in unpacked[..elements].chunks_exact(32) {
                quants.extend(group.chunks_exact(8).map(|eight| in_bytes(eight, 0, 4)));
                if upper_bits > 0 {
                    let per_word = 32 / upper_bits as usize;
                    let words = group.chunks_exact(per_word);
                    quants.extend(words.map(|quants| in_bytes(quants, 4, upper_bits)));
                }
            }
            match self.dtype {
                DType::Q5_0 => match scales.last_mut() {
                    Some(pair) if index % 2 == 1 => *pair |= word(&block[..2]) << 16,
                    _ => scales.push(word(&block[..2])),
                },
                DType::Q5_1 => scales.push(word(&block[..4])),
                DType::Q6_K => {
                    scales.extend(block[192..208].chunks_exact(4).map(word));
                    scales.push(word(&block[208..]));
                }
                _ => scales.extend(six_bit_words(block)),
            }
        }
    }
}

/// d and m; the lower four bits of scales and minima of groups 0..4, and of 4..8; the upper two of all.
fn six_bit_words(block: &[u8]) -> [u32; 4] {
    let [scales, minima] = blocks::scales_and_minima(block);
    let both = |groups: core::ops::Range<usize>, shift: u32, bits: u32| {
        let minima = packed(&minima[groups.clone()], shift, bits);
        packed(&scales[groups], shift, bits) | minima << 16
    };
    [
        word(&block[..4]),
        both(0..4, 0, 4),
        both(4..8, 0, 4),
        both(0..8, 4, 2),
    ]
}

/// `bits` bits of each number from bit `shift` on, the first number lowest.
fn packed(numbers: &[u8], shift: u32, bits: u32) -> u32 {
    let kept = |number: u8| u32::from(number) >> shift & ((1 << bits) - 1);
    let lowest_last = numbers.iter().rev();
    lowest_last.fold(0, |word, number| word << bits | kept(*number))
}

/// Blocks of one scale: two scales share a word.
fn push_blocks<'a, Words: Iterator<Item = u32>>(
    blocks: impl Iterator<Item = &'a [u8]>,
    quants: &mut Vec<u32>,
    scales: &mut Vec<u32>,
    words: impl Fn(&'a [u8]) -> Words,
) {
    for (index, block) in blocks.enumerate() {
        let (scale, block) = block.split_at(2);
        match scales.last_mut() {
            Some(pair) if index % 2 == 1 => *pair |= word(scale) << 16,
            _ => scales.push(word(scale)),
        }
        quants.extend(words(block));
    }
}

/// At most four bytes, the first lowest.
fn word(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// The file has elements 0..16 in the low and 16..32 in the high nibbles of 16 bytes; a word has eight neighbours.
fn nibble_words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    [0, 4].into_iter().flat_map(move |shift| {
        let nibbles = move |bytes: &[u8]| {
            let mut eight = [0; 8];
            for (nibble, byte) in eight.iter_mut().zip(bytes) {
                *nibble = byte >> shift;
            }
            in_bytes(&eight, 0, 4)
        };
        bytes.chunks_exact(8).map(nibbles)
    })
}

/// `bits` bits of each number from bit `shift` on: of the first four numbers lowest in the word's four bytes, then of the next four.
fn in_bytes(numbers: &[u8], shift: u32, bits: u32) -> u32 {
    let mut word = 0;
    for (four, place) in numbers.chunks_exact(4).zip((0..8).step_by(bits as usize)) {
        for (number, byte) in four.iter().zip([0, 8, 16, 24]) {
            word |= (u32::from(*number) >> shift & ((1 << bits) - 1)) << (byte + place);
        }
    }
    word
}
