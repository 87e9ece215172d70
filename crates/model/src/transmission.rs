//! Which tensor crosses which cut: derived from the graph.

use crate::{
    class::WireDtype,
    graph::{Graph, ValueId},
    wire,
};

/// A tensor that some later unit reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmission {
    /// Which.
    pub value: ValueId,
    /// Unit that makes it.
    pub producer: u32,
    /// Units that read it, ascending.
    pub consumers: Vec<u32>,
    /// Bytes on the wire.
    pub bytes_per_column: u64,
}

/// Every tensor that is made in one unit and read in another.
pub fn map(graph: &Graph, wire: WireDtype) -> Vec<Transmission> {
    let mut map = Vec::new();
    for (producer, unit) in (0..).zip(&graph.units) {
        for op in graph.ops.get(unit.ops.clone()).unwrap_or_default() {
            let value = op.output();
            let consumers = readers_after(graph, producer, value);
            if !consumers.is_empty() {
                let width = graph.values.get(value.0 as usize).copied().unwrap_or(0);
                map.push(Transmission {
                    value,
                    producer,
                    consumers,
                    bytes_per_column: wire::bytes_per_column(wire, width),
                });
            }
        }
    }
    map
}

fn readers_after(graph: &Graph, producer: u32, value: ValueId) -> Vec<u32> {
    let reads = |ops: &[crate::graph::Op]| ops.iter().any(|op| op.inputs().any(|x| x == value));
    (0..)
        .zip(&graph.units)
        .filter(|(index, _)| *index > producer)
        .filter(|(_, unit)| reads(graph.ops.get(unit.ops.clone()).unwrap_or_default()))
        .map(|(index, _)| index)
        .collect()
}
