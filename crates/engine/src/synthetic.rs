//! Made-up weights: deterministic, of a sane scale, for measuring and self-tests. Never part of an answer.

use half::f16;
use model::{DType, Graph, UnitRange, Weight, WeightId};

use crate::{EngineError, Executor};

/// Bytes handed to an executor at once.
const PIECE_BYTES: u64 = 1 << 20;

/// Loads synthetic weights for every weight that `stages` read.
///
/// # Errors
/// Whatever the executor says.
pub fn load(
    executor: &mut impl Executor,
    graph: &Graph,
    stages: &[UnitRange],
) -> Result<(), EngineError> {
    let mut piece = Vec::new();
    for (index, weight) in graph.weights.iter().enumerate() {
        let id = WeightId(index as u32);
        let in_stage = |unit: u32| stages.iter().any(|stage| stage.contains(unit));
        let needed = (0..)
            .zip(&graph.units)
            .any(|(index, unit)| in_stage(index) && unit.weights.contains(&id));
        if !needed {
            continue;
        }
        let row_bytes = weight
            .dtype
            .row_bytes(weight.cols)
            .unwrap_or(PIECE_BYTES)
            .max(1);
        let rows_per_piece = (PIECE_BYTES / row_bytes).max(1);
        for first_row in (0..weight.rows).step_by(rows_per_piece as usize) {
            piece.clear();
            for row in (first_row..weight.rows).take(rows_per_piece as usize) {
                push_row(&mut piece, weight, u64::from(id.0) << 32 | u64::from(row));
            }
            executor.put_rows(id, first_row, &piece)?;
        }
    }
    Ok(())
}

/// Token ids of a made-up prompt.
pub fn tokens(graph: &Graph, columns: u32) -> Vec<u32> {
    let mut random = SplitMix(1);
    (0..columns)
        .map(|_| (random.uniform() * f64::from(graph.vocabulary)) as u32)
        .collect()
}

/// A made-up residual stream, columns x hidden_width: multiples of 1/64 in -1..1, which every wire dtype carries unchanged.
pub fn hidden(graph: &Graph, columns: u32) -> Vec<f32> {
    let mut random = SplitMix(2);
    let len = columns as usize * graph.hidden_width as usize;
    (0..len)
        .map(|_| ((random.uniform() * 128.0).floor() / 64.0 - 1.0) as f32)
        .collect()
}

/// One row in file layout: gains close to one, biases close to none, matrix rows of about unit length, so that values keep their
/// scale through a unit.
fn push_row(out: &mut Vec<u8>, weight: &Weight, seed: u64) {
    let mut random = SplitMix(seed);
    let deviation = 1.0 / f64::from(weight.cols).sqrt();
    let (is_row, is_bias) = (weight.rows == 1, weight.name.ends_with(".bias"));
    let mut element = |deviation: f64| {
        let uniform = random.uniform() * 2.0 - 1.0;
        if is_bias {
            0.1 * uniform
        } else if is_row {
            1.0 + 0.1 * uniform
        } else {
            3.0_f64.sqrt() * deviation * uniform
        }
    };
    match weight.dtype {
        DType::F32 => {
            (0..weight.cols).for_each(|_| out.extend((element(deviation) as f32).to_le_bytes()))
        }
        DType::F16 => (0..weight.cols).for_each(|_| out.extend(half_bytes(element(deviation)))),
        DType::BF16 => (0..weight.cols).for_each(|_| {
            let [_, _, upper @ ..] = (element(deviation) as f32).to_le_bytes();
            out.extend(upper);
        }),
        dtype => push_blocks(out, dtype, weight.cols, &mut random, deviation),
    }
}

/// Random quants, and scales that give elements the deviation.
fn push_blocks(out: &mut Vec<u8>, dtype: DType, cols: u32, random: &mut SplitMix, deviation: f64) {
    let bytes = dtype.block_bytes() as usize;
    let scales = scales(dtype, deviation);
    let numbers_first = dtype.halves().first() == Some(&0);
    let number_bytes = 2 * dtype.halves().len();
    for _ in 0..cols / dtype.block_elements() {
        let end = out.len() + bytes;
        let push_scales = |out: &mut Vec<u8>| {
            let halves = scales.iter().take(dtype.halves().len());
            halves.for_each(|scale| out.extend(half_bytes(*scale)));
        };
        if numbers_first {
            push_scales(out);
        }
        for _ in 0..(bytes - number_bytes).div_ceil(8) {
            out.extend(random.next().to_le_bytes());
        }
        if numbers_first {
            out.truncate(end);
        } else {
            out.truncate(end - number_bytes);
            push_scales(out);
        }
    }
}

/// Scale and minimum of a block of random quants, whose own deviation they undo.
fn scales(dtype: DType, deviation: f64) -> [f64; 2] {
    match dtype {
        DType::Q8_0 => [deviation / 73.9, 0.0],
        DType::Q5_0 => [deviation / 9.2, 0.0],
        DType::Q5_1 => [deviation / 9.2, deviation / 9.2 * -15.5],
        DType::Q4_K => [deviation / 252.0, deviation / 252.0 * 7.5],
        DType::Q5_K => [deviation / 504.0, deviation / 504.0 * 15.5],
        DType::Q6_K => [deviation / 1367.0, 0.0],
        _ => [deviation / 4.6, deviation / 4.6 * -7.5],
    }
}

/// By way of f32: straight from f64, some processors round twice and others once.
fn half_bytes(number: f64) -> [u8; 2] {
    f16::from_f32(number as f32).to_le_bytes()
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
pub(crate) struct SplitMix(pub u64);

impl SplitMix {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// In 0..1.
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
