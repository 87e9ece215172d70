//! What a segment needs: weights, bytes of the file, memory.

use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    class::NumericClass,
    graph::{Graph, Op, Unit, UnitRange, Weight, WeightId},
    manifest,
};

/// Bytes of one f32.
const F32_BYTES: u64 = 4;
/// Rows an executor turns into f32 at a time, at most.
const TILE_ROWS: u64 = 4;
/// Of 32 elements that meet a quantised weight: 16 bits each, a scale and a sum.
const ACTIVATION_BLOCK_BYTES: u64 = 32 * 2 + 2 * F32_BYTES;

/// Weights that the units read, each once, in the order they have in the file.
pub fn weights(graph: &Graph, ranges: &[UnitRange]) -> Vec<WeightId> {
    let needed: BTreeSet<WeightId> = units(graph, ranges)
        .flat_map(|unit| unit.weights.iter().copied())
        .collect();
    let mut needed: Vec<_> = needed.into_iter().collect();
    needed.sort_by_key(|id| weight(graph, *id).map_or(0, |weight| weight.range.start));
    needed
}

/// Bytes of those weights in the file: ascending, neighbours joined.
pub fn byte_ranges(graph: &Graph, ranges: &[UnitRange]) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for id in weights(graph, ranges) {
        let Some(weight) = weight(graph, id) else {
            continue;
        };
        match joined.last_mut() {
            Some(last) if last.end == weight.range.start => last.end = weight.range.end,
            _ => joined.push(weight.range.clone()),
        }
    }
    joined
}

/// Bytes of those weights.
pub fn weight_bytes(graph: &Graph, ranges: &[UnitRange]) -> u64 {
    weights(graph, ranges)
        .into_iter()
        .map(|id| bytes_of(graph, id))
        .sum()
}

/// Weight bytes of each unit; a tied tensor counts at its first unit only.
pub fn unit_weight_bytes(graph: &Graph) -> Vec<u64> {
    let mut seen = BTreeSet::new();
    let mut own = |unit: &Unit| {
        let first = unit.weights.iter().filter(|id| seen.insert(**id));
        first.map(|id| bytes_of(graph, *id)).sum()
    };
    graph.units.iter().map(&mut own).collect()
}

/// Bytes of the units' static KV caches: f32 keys and values.
pub fn kv_bytes(graph: &Graph, ranges: &[UnitRange], context_columns: u32) -> u64 {
    units(graph, ranges)
        .flat_map(|unit| &unit.caches)
        .filter_map(|cache| graph.caches.get(cache.0 as usize))
        .map(|cache| 2 * F32_BYTES * u64::from(cache.width) * u64::from(context_columns))
        .sum()
}

/// Bytes an executor needs besides, at most: for each width, as many values of a chunk as one unit has; logits of a decode call;
/// a few rows in f32; the input of a quantised weight in 16 bits; attention scores of one head; the chunk of the file on its way in.
pub fn scratch_bytes(graph: &Graph, chunk_columns: u32) -> u64 {
    let columns = u64::from(chunk_columns.max(NumericClass::MAX_DECODE_COLUMNS));
    let logits = u64::from(NumericClass::MAX_DECODE_COLUMNS) * u64::from(graph.vocabulary);
    let longest_row = |needed: fn(&Weight) -> bool| {
        let rows = graph.weights.iter().filter(|weight| needed(weight));
        rows.map(|weight| u64::from(weight.cols)).max().unwrap_or(0)
    };
    let in_16_bits = longest_row(|weight| weight.dtype.has_integer_products());
    let tile =
        TILE_ROWS * longest_row(|weight| weight.rows == 1 || !weight.dtype.has_integer_products());
    let activation_blocks = columns * in_16_bits.div_ceil(32);
    let scores = u64::from(graph.max_context_columns);
    let elements = elements_per_column(graph) * columns + logits + tile + scores;
    F32_BYTES * elements + ACTIVATION_BLOCK_BYTES * activation_blocks + largest_chunk_bytes(graph)
}

/// Elements of all values of a unit, the logits apart; units share buffers of one width.
fn elements_per_column(graph: &Graph) -> u64 {
    let logits = graph.units.last().map(|head| head.output);
    let mut most: BTreeMap<u32, u64> = BTreeMap::new();
    for unit in &graph.units {
        let ops = graph.ops.get(unit.ops.clone()).unwrap_or_default();
        let values = ops.iter().map(Op::output).chain(unit.input);
        let mut count: BTreeMap<u32, u64> = BTreeMap::new();
        for value in values.filter(|value| Some(*value) != logits) {
            let width = graph.values.get(value.0 as usize).copied().unwrap_or(0);
            *count.entry(width).or_default() += 1;
        }
        for (width, count) in count {
            let most = most.entry(width).or_default();
            *most = count.max(*most);
        }
    }
    let elements = most.iter().map(|(width, count)| u64::from(*width) * count);
    elements.sum()
}

/// A chunk is a tensor, a part of one of the usual size, or one long row.
fn largest_chunk_bytes(graph: &Graph) -> u64 {
    let chunk_bytes = |weight: &Weight| {
        let row_bytes = weight.dtype.row_bytes(weight.cols).unwrap_or(0);
        let tensor_bytes = row_bytes.saturating_mul(u64::from(weight.rows));
        tensor_bytes.min(manifest::CHUNK_BYTES.max(row_bytes))
    };
    graph.weights.iter().map(chunk_bytes).max().unwrap_or(0)
}

fn units<'a>(graph: &'a Graph, ranges: &[UnitRange]) -> impl Iterator<Item = &'a Unit> {
    ranges
        .iter()
        .flat_map(|range| range.start..range.end)
        .filter_map(|unit| graph.units.get(unit as usize))
}

fn weight(graph: &Graph, id: WeightId) -> Option<&Weight> {
    graph.weights.get(id.0 as usize)
}

fn bytes_of(graph: &Graph, id: WeightId) -> u64 {
    weight(graph, id).map_or(0, |weight| {
        weight.range.end.saturating_sub(weight.range.start)
    })
}
