//! Causal softmax attention over a static KV cache, grouped-query.

use super::{
    exponential::exp,
    lanes::{dot, sum},
};

/// Keys and values of one attention op: context x width each, in position order.
pub struct Cache {
    width: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// Heads of one attention op.
#[derive(Clone, Copy)]
pub struct Heads {
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; divides `heads`.
    pub kv_heads: usize,
    /// Elements per head.
    pub head_dim: usize,
    /// Multiplies q.k before the softmax.
    pub scale: f32,
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
        let width = shape.heads * shape.head_dim;
        let group = shape.heads / shape.kv_heads;
        for (column, (queries, out)) in queries
            .chunks_exact(width)
            .zip(out.chunks_exact_mut(width))
            .enumerate()
        {
            let scores = &mut scores[..position + column + 1];
            let heads = queries
                .chunks_exact(shape.head_dim)
                .zip(out.chunks_exact_mut(shape.head_dim));
            for (head, (query, out)) in heads.enumerate() {
                self.attend_head(
                    head / group * shape.head_dim,
                    shape.scale,
                    query,
                    scores,
                    out,
                );
            }
        }
    }

    /// One query head against the KV head whose elements start at `offset`; every column of `scores` is visible.
    fn attend_head(
        &self,
        offset: usize,
        scale: f32,
        query: &[f32],
        scores: &mut [f32],
        out: &mut [f32],
    ) {
        let head = offset..offset + query.len();
        for (score, key) in scores.iter_mut().zip(self.keys.chunks_exact(self.width)) {
            *score = dot(query, &key[head.clone()]) * scale;
        }
        let total = exponentials(scores);
        out.fill(0.0);
        for (weight, value) in scores.iter().zip(self.values.chunks_exact(self.width)) {
            for (out, value) in out.iter_mut().zip(&value[head.clone()]) {
                *out += weight * value;
            }
        }
        for out in out {
            *out /= total;
        }
    }
}

/// Replaces every score by e^(score - largest) and returns their sum.
fn exponentials(scores: &mut [f32]) -> f32 {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for score in scores.iter_mut() {
        *score = exp(*score - largest);
    }
    sum(scores)
}
