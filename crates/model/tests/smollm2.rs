//! The default model's header: blocks lie in the file in the order of their names, 0, 1, 10, 11, ...

#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

use core::ops::Range;
use std::{fs::File, io::Read, path::PathBuf};

use model::{
    Graph, UnitRange, arch,
    gguf::{self, Header, Progress},
    manifest, segment,
};

/// Header from a growing prefix, as a phone reads it; the header and the size of the file.
fn smollm2() -> (Header, u64) {
    let default = || {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../models/SmolLM2-135M-Instruct.Q4_1.gguf")
    };
    let path = std::env::var_os("LINGUALINKED_MODEL").map_or_else(default, PathBuf::from);
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file_bytes = file.metadata().unwrap().len();
    let mut prefix = Vec::new();
    for requests in 0.. {
        assert!(requests < 100, "the header takes too many requests");
        match gguf::parse(&prefix, Some(file_bytes)).unwrap() {
            Progress::Done(header) => return (*header, file_bytes),
            Progress::NeedMore { at_least_bytes } => {
                let missing = at_least_bytes - prefix.len() as u64;
                (&file).take(missing).read_to_end(&mut prefix).unwrap();
            }
        }
    }
    unreachable!()
}

fn bytes(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|range| range.end - range.start).sum()
}

fn tensors_of(graph: &Graph, range: UnitRange) -> Vec<Range<u64>> {
    let ids = segment::weights(graph, &[range]);
    ids.into_iter()
        .map(|id| graph.weights[id.0 as usize].range.clone())
        .collect()
}

#[test]
fn the_default_model_has_a_unit_for_each_residual_add() {
    let graph = arch::build(&smollm2().0).unwrap();
    assert_eq!(
        (graph.hidden_width, graph.vocabulary, graph.caches.len()),
        (576, 49_152, 30)
    );
    assert_eq!(graph.units.len(), 2 + 2 * 30);
    let (first, last) = (&graph.units[0], &graph.units[61]);
    assert!(
        last.weights.contains(&first.weights[0]),
        "its head is the embedding"
    );
    let all = [UnitRange { start: 0, end: 62 }];
    assert_eq!(
        segment::unit_weight_bytes(&graph).iter().sum::<u64>(),
        segment::weight_bytes(&graph, &all)
    );
}

#[test]
fn segments_ask_for_their_own_bytes_in_file_order() {
    let (header, file_bytes) = smollm2();
    let graph = arch::build(&header).unwrap();
    for start in 0..62 {
        for end in start + 1..=62 {
            let range = UnitRange { start, end };
            let (ranges, tensors) = (
                segment::byte_ranges(&graph, &[range]),
                tensors_of(&graph, range),
            );
            assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
            assert!(
                ranges
                    .iter()
                    .all(|range| header.header_bytes <= range.start && range.end <= file_bytes)
            );
            let inside = |tensor: &Range<u64>| {
                ranges
                    .iter()
                    .any(|range| range.start <= tensor.start && tensor.end <= range.end)
            };
            assert!(tensors.iter().all(inside), "{start}..{end}");
            assert_eq!(bytes(&ranges), bytes(&tensors), "{start}..{end}");
        }
    }
    let block = |block: u32| {
        let unit = 1 + 2 * block;
        segment::byte_ranges(
            &graph,
            &[UnitRange {
                start: unit,
                end: unit + 2,
            }],
        )[0]
        .start
    };
    assert!(
        block(1) < block(10) && block(10) < block(2),
        "blocks lie in the order of their names"
    );
}

#[test]
fn chunks_hold_whole_rows_of_one_tensor() {
    let (header, file_bytes) = smollm2();
    let chunks = manifest::layout(&header, &arch::build(&header).unwrap()).unwrap();
    assert!(chunks.windows(2).all(|pair| pair[0].end <= pair[1].start));
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk.end <= file_bytes && chunk.end - chunk.start <= 1 << 20)
    );
    for chunk in chunks
        .iter()
        .filter(|chunk| chunk.start >= header.header_bytes)
    {
        let holds = |tensor: &&gguf::Tensor| {
            tensor.range.start <= chunk.start && chunk.end <= tensor.range.end
        };
        let tensor = header.tensors.iter().find(holds).unwrap();
        let row_bytes = tensor.dtype.row_bytes(tensor.cols).unwrap();
        assert!((chunk.start - tensor.range.start).is_multiple_of(row_bytes));
        assert!((chunk.end - chunk.start).is_multiple_of(row_bytes));
    }
    let tensors: u64 = header
        .tensors
        .iter()
        .map(|tensor| tensor.range.end - tensor.range.start)
        .sum();
    assert_eq!(bytes(&chunks), header.header_bytes + tensors);
}
