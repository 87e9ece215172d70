//! Bytes of units.

use std::collections::BTreeSet;

use model::{Graph, UnitRange, WeightId};

fn bytes_of(graph: &Graph, weight: WeightId) -> u64 {
    let weight = graph.weights.get(weight.0 as usize);
    weight.map_or(0, |weight| {
        weight.range.end.saturating_sub(weight.range.start)
    })
}

/// A tied tensor counts at its first unit only.
pub(crate) fn unit_weight_bytes(graph: &Graph) -> Vec<u64> {
    let mut seen = BTreeSet::new();
    let mut own = |weights: &[WeightId]| {
        let first = weights.iter().filter(|weight| seen.insert(**weight));
        first.map(|weight| bytes_of(graph, *weight)).sum()
    };
    graph.units.iter().map(|unit| own(&unit.weights)).collect()
}

/// A tensor counts once.
pub(crate) fn weight_bytes(graph: &Graph, ranges: &[UnitRange]) -> u64 {
    let units = ranges.iter().flat_map(|range| range.start..range.end);
    let units = units.filter_map(|unit| graph.units.get(unit as usize));
    let weights: BTreeSet<WeightId> = units
        .flat_map(|unit| unit.weights.iter().copied())
        .collect();
    weights
        .into_iter()
        .map(|weight| bytes_of(graph, weight))
        .sum()
}

/// f32 keys and values of every column.
pub(crate) fn kv_bytes(graph: &Graph, ranges: &[UnitRange], context_columns: u32) -> u64 {
    let units = ranges.iter().flat_map(|range| range.start..range.end);
    let units = units.filter_map(|unit| graph.units.get(unit as usize));
    let caches = units.flat_map(|unit| &unit.caches);
    let caches = caches.filter_map(|cache| graph.caches.get(cache.0 as usize));
    caches
        .map(|cache| 8 * u64::from(cache.width) * u64::from(context_columns))
        .sum()
}

/// A chunk of the widest values of an attention and an MLP block, and the logits of one column.
pub(crate) fn scratch_bytes(graph: &Graph, chunk_columns: u32) -> u64 {
    let widest = graph
        .values
        .iter()
        .filter(|width| **width != graph.vocabulary)
        .max();
    let widest = widest.copied().unwrap_or(graph.hidden_width);
    8 * 4 * u64::from(widest) * u64::from(chunk_columns) + 4 * u64::from(graph.vocabulary)
}
