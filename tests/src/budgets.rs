//! Budgets that leave the planner no choice but to use every phone.

use model::{NumericClass, UnitRange, segment};

use crate::ModelFile;

/// Bytes for each of `phones`, the host first: blocks dealt out evenly, embedding and head on the host, and not a byte to spare.
///
/// Their sum is what the model needs, so a room with one phone less cannot hold it.
pub fn exact(file: &ModelFile, class: NumericClass, phones: u32) -> Vec<u64> {
    let end = file.graph.units.len() as u32;
    let only = |unit| UnitRange {
        start: unit,
        end: unit + 1,
    };
    let blocks = end - 2;
    let scratch_bytes = segment::scratch_bytes(&file.graph, class.chunk_columns);
    let budgets = (0..phones).map(|phone| {
        let mut units: Vec<UnitRange> = (0..blocks)
            .filter(|block| block * phones / blocks == phone)
            .map(|block| only(block + 1))
            .collect();
        if phone == 0 {
            units.extend([only(0), only(end - 1)]);
        }
        segment::weight_bytes(&file.graph, &units)
            + segment::kv_bytes(&file.graph, &units, class.context_columns)
            + scratch_bytes
    });
    budgets.collect()
}
