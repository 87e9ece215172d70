//! Causal softmax attention over a static KV cache, grouped-query.

use core::array::from_fn;

use model::graph::alibi_slope;

use super::{
    exponential::exp,
    lanes::{dot, dot_tile, sum},
};
use crate::segment::Heads;

/// Cached columns that meet a query together.
const TILE_COLUMNS: usize = 4;

/// Keys and values of one attention op: context x width each, in position order.
pub struct Cache {
    width: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Cache {
    /// All zero; `keys` and `values` have context x width elements.
    pub fn new(width: usize, keys: Vec<f32>, values: Vec<f32>) -> Self {
        Self {
            width,
            keys,
            values,
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        (self.keys.capacity() + self.values.capacity()) * size_of::<f32>()
    }

    /// Stores the keys and values (columns x width) of the columns from `position` on.
    pub fn write(&mut self, position: usize, keys: &[f32], values: &[f32]) {
        let start = position * self.width;
        self.keys[start..start + keys.len()].copy_from_slice(keys);
        self.values[start..start + values.len()].copy_from_slice(values);
    }

    /// Attention of the queries (columns x (heads * head_dim)), the first of which stands at `position`.
    /// `scores` holds at least as many elements as columns are cached.
    pub fn attend(
        &self,
        shape: Heads,
        position: usize,
        queries: &[f32],
        scores: &mut [f32],
        out: &mut [f32],
    ) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: this processor has AVX2, as the line above found out.
            #[allow(unsafe_code)]
            return unsafe { self.attend_avx2(shape, position, queries, scores, out) };
        }
        self.attend_portable(shape, position, queries, scores, out);
    }

    /// The same source with wider registers: same operations, same order, same bits.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn attend_avx2(
        &self,
        shape: Heads,
        position: usize,
        queries: &[f32],
        scores: &mut [f32],
        out: &mut [f32],
    ) {
        self.attend_portable(shape, position, queries, scores, out);
    }

    /// [`Self::attend`] with the registers that every target of this build has.
    #[inline(always)]
    pub fn attend_portable(
        &self,
        shape: Heads,
        position: usize,
        queries: &[f32],
        scores: &mut [f32],
        out: &mut [f32],
    ) {
        let width = shape.heads * shape.head_dim;
        let group = shape.heads / shape.kv_heads;
        for (column, (queries, out)) in queries
            .chunks_exact(width)
            .zip(out.chunks_exact_mut(width))
            .enumerate()
        {
            let visible = position + column + 1;
            let first = visible.saturating_sub(shape.window);
            let scores = &mut scores[first..visible];
            let heads = queries
                .chunks_exact(shape.head_dim)
                .zip(out.chunks_exact_mut(shape.head_dim));
            for (head, (query, out)) in heads.enumerate() {
                let slope = match shape.alibi {
                    true => alibi_slope(head as u32, shape.heads as u32),
                    false => 0.0,
                };
                self.attend_head(
                    (first, head / group * shape.head_dim),
                    (shape.scale, slope),
                    query,
                    scores,
                    out,
                );
            }
        }
    }

    /// One query head against the KV head whose elements start at `offset` of column `first`; every column of `scores` is visible.
    #[inline(always)]
    fn attend_head(
        &self,
        (first, offset): (usize, usize),
        (scale, slope): (f32, f32),
        query: &[f32],
        scores: &mut [f32],
        out: &mut [f32],
    ) {
        self.score_head((first, offset), scale, query, scores);
        if slope > 0.0 {
            for (distance, score) in scores.iter_mut().rev().enumerate() {
                *score -= slope * distance as f32;
            }
        }
        self.mix_head((first, offset), scores, out);
    }

    /// Of each visible column, q.k times `scale`.
    #[inline(always)]
    pub fn score_head(
        &self,
        (first, offset): (usize, usize),
        scale: f32,
        query: &[f32],
        scores: &mut [f32],
    ) {
        let head = offset..offset + query.len();
        let mut keys = self.keys[first * self.width..]
            .chunks_exact(self.width)
            .map(|key| &key[head.clone()]);
        let (tiles, rest) = scores.as_chunks_mut::<TILE_COLUMNS>();
        for tile in tiles {
            let keys = from_fn(|_| keys.next().unwrap_or_default());
            *tile = dot_tile(keys, [query]).map(|[dot]| dot * scale);
        }
        for (score, key) in rest.iter_mut().zip(keys) {
            *score = dot(query, key) * scale;
        }
    }

    /// The values of the visible columns, weighed by the softmax of their scores.
    #[inline(always)]
    pub fn mix_head(&self, (first, offset): (usize, usize), scores: &mut [f32], out: &mut [f32]) {
        let head = offset..offset + out.len();
        let total = exponentials(scores);
        out.fill(0.0);
        let mut values = self.values[first * self.width..]
            .chunks_exact(self.width)
            .map(|value| &value[head.clone()]);
        let (tiles, rest) = scores.as_chunks::<TILE_COLUMNS>();
        for weights in tiles {
            let values: [&[f32]; TILE_COLUMNS] = from_fn(|_| values.next().unwrap_or_default());
            add_weighted(out, weights, values);
        }
        for (weight, value) in rest.iter().zip(values) {
            add_weighted(out, &[*weight], [value]);
        }
        for out in out {
            *out /= total;
        }
    }
}

/// out += weights[0] * values[0], then += weights[1] * values[1], ...: one after the other, but read and written once.
#[inline(always)]
fn add_weighted<const COLUMNS: usize>(
    out: &mut [f32],
    weights: &[f32; COLUMNS],
    values: [&[f32]; COLUMNS],
) {
    let values = values.map(|value| &value[..out.len()]);
    for (index, out) in out.iter_mut().enumerate() {
        let mut sum = *out;
        for (weight, value) in weights.iter().zip(values) {
            sum += weight * value[index];
        }
        *out = sum;
    }
}

/// Replaces every score by e^(score - largest) and returns their sum.
#[inline(always)]
fn exponentials(scores: &mut [f32]) -> f32 {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for score in scores.iter_mut() {
        *score = exp(*score - largest);
    }
    sum(scores)
}
