//! What a segment needs: weights, bytes of the file, memory.

use core::ops::Range;
use std::collections::BTreeSet;

use crate::graph::{Graph, Unit, UnitRange, Weight, WeightId};

/// Bytes of one f32.
const F32_BYTES: u64 = 4;

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

/// Bytes an executor needs besides: a chunk of the widest values of a block, and one column of logits.
pub fn scratch_bytes(graph: &Graph, chunk_columns: u32) -> u64 {
    let below_logits = graph
        .values
        .iter()
        .filter(|width| **width != graph.vocabulary);
    let widest = below_logits.max().copied().unwrap_or(graph.hidden_width);
    8 * F32_BYTES * u64::from(widest) * u64::from(chunk_columns)
        + F32_BYTES * u64::from(graph.vocabulary)
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
