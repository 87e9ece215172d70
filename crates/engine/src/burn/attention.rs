//! Causal softmax attention over a static KV cache, grouped-query.
//!
//! Every call meets the whole context, most of it masked: then its shapes, and with them the kernels that Burn picks and the
//! order in which they add, are the same at every position.

use core::ops::Range;

use burn_backend::{
    TensorMetadata,
    ops::{ActivationOps, FloatTensorOps},
};
use burn_wgpu::Wgpu;
use cubecl::Device;
use model::graph::alibi_slope;

use super::tensor::{Tensor, assign, bytes, part, reshape, upload, zeros};
use crate::segment::Heads;

/// Added to scores of columns that are not seen: e to this is 0, and no score makes it infinite.
const UNSEEN: f32 = -1e30;

/// Keys and values of one attention op: kv_heads x context x head_dim each.
pub struct Cache {
    keys: Tensor,
    values: Tensor,
}

impl Cache {
    /// All zero.
    pub fn new(device: &Device, heads: Heads, context: usize) -> Self {
        let empty = || zeros(device, [heads.kv_heads, context, heads.head_dim]);
        Self {
            keys: empty(),
            values: empty(),
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        bytes(&self.keys) + bytes(&self.values)
    }

    /// Stores the first of `keys` and `values` (columns x (kv_heads * head_dim)) in the columns of `range`.
    pub fn write(&mut self, range: Range<usize>, keys: &Tensor, values: &Tensor) {
        for (cache, new) in [(&mut self.keys, keys), (&mut self.values, values)] {
            let [kv_heads, _, head_dim] = cache.shape().dims();
            let columns = range.len();
            let new = part(new, [0..columns, 0..kv_heads * head_dim]);
            let new = Wgpu::float_swap_dims(reshape(new, [columns, kv_heads, head_dim]), 0, 1);
            assign(cache, [0..kv_heads, range.clone(), 0..head_dim], new);
        }
    }

    /// Zeroes the columns of `range`: what is masked is multiplied by 0, which would keep what is not finite.
    pub fn forget(&mut self, range: Range<usize>) {
        for cache in [&mut self.keys, &mut self.values] {
            let [kv_heads, _, head_dim] = cache.shape().dims();
            let nothing = zeros(&cache.device(), [kv_heads, range.len(), head_dim]);
            assign(cache, [0..kv_heads, range.clone(), 0..head_dim], nothing);
        }
    }

    /// Attention of the queries (columns x (heads * head_dim)); `bias` (1 or heads x columns x context) is added to the scores.
    pub fn attend(&self, heads: Heads, queries: Tensor, bias: Tensor) -> Tensor {
        let Heads {
            heads,
            kv_heads,
            head_dim,
            scale,
            ..
        } = heads;
        let [columns, width] = queries.shape().dims();
        let [_, context, _] = self.keys.shape().dims();
        let grouped = heads / kv_heads * columns;
        let queries = Wgpu::float_swap_dims(reshape(queries, [columns, heads, head_dim]), 0, 1);
        let queries = reshape(queries, [kv_heads, grouped, head_dim]);
        let keys = Wgpu::float_swap_dims(self.keys.clone(), 1, 2);
        let scores = reshape(Wgpu::float_matmul(queries, keys), [heads, columns, context]);
        let scores = Wgpu::float_add(Wgpu::float_mul_scalar(scores, scale.into()), bias);
        let weights = reshape(Wgpu::softmax(scores, 2), [kv_heads, grouped, context]);
        let out = Wgpu::float_matmul(weights, self.values.clone());
        let out = Wgpu::float_swap_dims(reshape(out, [heads, columns, head_dim]), 0, 1);
        reshape(out, [columns, width])
    }
}

/// What is added to the scores of `columns` queries, the first of which stands at `position`.
pub fn bias(
    device: &Device,
    heads: Heads,
    position: usize,
    columns: usize,
    context: usize,
) -> Tensor {
    let mut masks = Vec::with_capacity(columns * context);
    let mut distances = Vec::with_capacity(columns * context);
    for query in position..position + columns {
        for key in 0..context {
            let distance = query.checked_sub(key);
            let seen = distance.is_some_and(|distance| distance < heads.window);
            masks.push(if seen { 0.0 } else { UNSEEN });
            distances.push(distance.unwrap_or(0) as f32);
        }
    }
    let mask = upload(device, masks, [1, columns, context]);
    if !heads.alibi {
        return mask;
    }
    let count = heads.heads;
    let slopes = (0..count).map(|head| alibi_slope(head as u32, count as u32));
    let slopes = upload(device, slopes.collect(), [count, 1, 1]);
    let distances = upload(device, distances, [1, columns, context]);
    Wgpu::float_sub(mask, Wgpu::float_mul(distances, slopes))
}
