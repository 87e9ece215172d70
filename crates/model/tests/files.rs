//! Headers, graphs and manifests of real and of damaged files.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use model::{
    DType, Graph, ModelError, Op, UnitKind, UnitRange, WireDtype, arch,
    gguf::{self, Header, Progress},
    manifest::{self, Chunk, Manifest},
    segment, transmission,
};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const TINY: &[u8] = include_bytes!("../../../tests/fixtures/tiny-llama/model-f32.gguf");

fn header(bytes: &[u8]) -> Header {
    match gguf::parse(bytes, Some(bytes.len() as u64)).unwrap() {
        Progress::Done(header) => *header,
        Progress::NeedMore { .. } => panic!("the whole file is there"),
    }
}

fn tiny() -> (Header, Graph) {
    let header = header(TINY);
    let graph = arch::build(&header).unwrap();
    (header, graph)
}

fn manifest_of(bytes: &[u8], header: &Header) -> Manifest {
    let chunk = |range: core::ops::Range<u64>| {
        Chunk::of(
            range.start,
            &bytes[range.start as usize..range.end as usize],
        )
    };
    Manifest {
        file_bytes: bytes.len() as u64,
        header_bytes: header.header_bytes,
        chunks: manifest::layout(header, &arch::build(header).unwrap())
            .unwrap()
            .into_iter()
            .map(chunk)
            .collect(),
    }
}

#[test]
fn every_prefix_asks_for_more_until_the_header_is_whole() {
    let whole = tiny().0;
    let mut prefix = 0;
    loop {
        match gguf::parse(&TINY[..prefix], Some(TINY.len() as u64)).unwrap() {
            Progress::Done(header) => break assert_eq!(*header, whole),
            Progress::NeedMore { at_least_bytes } => {
                assert!(at_least_bytes as usize > prefix);
                prefix = at_least_bytes as usize;
            }
        }
    }
    for prefix in 0..whole.header_bytes as usize {
        let progress = gguf::parse(&TINY[..prefix], None).unwrap();
        assert!(
            matches!(progress, Progress::NeedMore { at_least_bytes } if at_least_bytes > prefix as u64)
        );
    }
}

#[test]
fn truncated_files_are_named_so() {
    let header_bytes = tiny().0.header_bytes as usize;
    for len in [5, header_bytes / 2, header_bytes, TINY.len() - 1] {
        let error = gguf::parse(&TINY[..len], Some(len as u64)).unwrap_err();
        assert_eq!(error.code(), "model.truncated", "{len} bytes");
    }
}

#[test]
fn a_flipped_bit_gives_an_error_or_another_model_but_never_a_panic() {
    let header_bytes = tiny().0.header_bytes as usize;
    let mut bytes = TINY[..header_bytes].to_vec();
    let mut refused = 0;
    for bit in (0..header_bytes * 8).step_by(3) {
        bytes[bit / 8] ^= 1 << (bit % 8);
        let built =
            gguf::parse(&bytes, Some(TINY.len() as u64)).and_then(|progress| match progress {
                Progress::Done(header) => arch::build(&header).map(drop),
                Progress::NeedMore { .. } => Ok(()),
            });
        refused += u32::from(built.is_err());
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(refused > 1000, "only {refused} flips were noticed");
}

#[test]
fn other_files_are_refused_by_name() {
    let code = |bytes: &[u8]| gguf::parse(bytes, None).unwrap_err().code();
    assert_eq!(code(b"PK\x03\x04"), "model.not_gguf");
    assert_eq!(code(b"GGUF\x09\0\0\0"), "model.version");
    let announces_too_much = [b"GGUF\x03\0\0\0".as_slice(), &[0xff; 8]].concat();
    assert_eq!(code(&announces_too_much), "model.corrupt");
}

#[test]
fn unknown_architectures_and_missing_tensors_are_named() {
    let mut other = tiny().0;
    other
        .tensors
        .retain(|tensor| tensor.name != "blk.1.ffn_up.weight");
    let missing = ModelError::MissingTensor {
        name: "blk.1.ffn_up.weight".to_owned(),
    };
    assert_eq!(arch::build(&other).unwrap_err(), missing);
    let needle = b"general.architecture\x08\0\0\0\x05\0\0\0\0\0\0\0llama";
    let at = TINY
        .windows(needle.len())
        .position(|window| window == needle)
        .unwrap();
    let mut bytes = TINY.to_vec();
    bytes[at + needle.len() - 5..at + needle.len()].copy_from_slice(b"mamba");
    let error = arch::build(&header(&bytes)).unwrap_err();
    assert_eq!(error.code(), "model.architecture");
    assert!(error.to_string().contains("mamba"));
}

/// The tiny model with one more metadata entry in front, and the whole file shifted by a multiple of its alignment.
fn with_entry(key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    let alignment = 32;
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let mut entry = [text(key), kind.to_le_bytes().to_vec(), value.to_vec()].concat();
    let overhead = text("pad").len() + 4 + 8;
    let padding = (alignment - (entry.len() + overhead) % alignment) % alignment;
    let pad = [
        text("pad"),
        8_u32.to_le_bytes().to_vec(),
        text(&"x".repeat(padding)),
    ]
    .concat();
    entry.extend(pad);
    let mut bytes = TINY.to_vec();
    let entries = u64::from_le_bytes(TINY[16..24].try_into().unwrap()) + 2;
    bytes[16..24].copy_from_slice(&entries.to_le_bytes());
    bytes.splice(24..24, entry);
    bytes
}

#[test]
fn every_metadata_type_is_read_or_read_past() {
    let array = |kind: u32, count: u64, body: &[u8]| {
        [&kind.to_le_bytes()[..], &count.to_le_bytes(), body].concat()
    };
    let sizes = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
    for (kind, size) in (0..).zip(sizes).filter(|(_, size)| *size > 0) {
        let metadata = header(&with_entry("new", kind, &vec![1; size])).metadata;
        assert!(metadata.get("new").is_some(), "type {kind}");
        let list = array(kind, 3, &vec![1; 3 * size]);
        let metadata = header(&with_entry("new", 9, &list)).metadata;
        assert!(metadata.get("new").is_some(), "array of type {kind}");
    }
    assert_eq!(
        header(&with_entry("new", 10, &[1, 0, 0, 0, 0, 0, 0, 1]))
            .metadata
            .u64("new"),
        Some((1 << 56) + 1)
    );
    let mut nested = array(0, 2, &[7, 8]);
    for _ in 0..3 {
        nested = array(9, 1, &nested);
    }
    assert!(
        header(&with_entry("new", 9, &nested))
            .metadata
            .get("new")
            .is_some()
    );
    for _ in 0..2 {
        nested = array(9, 1, &nested);
    }
    let deep = gguf::parse(&with_entry("new", 9, &nested), None).unwrap_err();
    assert_eq!(deep.code(), "model.corrupt");
}

#[test]
fn what_the_graph_cannot_express_is_refused_by_name() {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let yarn = with_entry("llama.rope.scaling.type", 8, &text("yarn"));
    let error = arch::build(&header(&yarn)).unwrap_err();
    assert!(error.to_string().contains("yarn scaling"), "{error}");
    let mut header = tiny().0;
    let mut extra = header.tensors[0].clone();
    extra.name = "blk.0.ffn_gate_inp.weight".to_owned();
    header.tensors.push(extra);
    let error = arch::build(&header).unwrap_err();
    assert_eq!(error.code(), "model.architecture");
    assert!(error.to_string().contains("ffn_gate_inp"), "{error}");
}

#[test]
fn scaled_positions_are_in_the_graph() {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let scale = |bytes: &[u8]| {
        let graph = arch::build(&header(bytes)).unwrap();
        let scales = graph.ops.iter().filter_map(|op| match op {
            Op::Rope { frequencies, .. } => Some(frequencies.scale),
            _ => None,
        });
        let scales: Vec<f32> = scales.collect();
        assert_eq!(scales.len(), 2 * graph.caches.len());
        assert!(scales.iter().all(|scale| *scale == scales[0]));
        scales[0]
    };
    assert_eq!(scale(TINY), 1.0);
    for (key, kind, value, expected) in [
        ("llama.rope.scaling.type", 8, text("none"), 1.0),
        (
            "llama.rope.scaling.factor",
            6,
            4.0_f32.to_le_bytes().to_vec(),
            0.25,
        ),
        (
            "llama.rope.scale_linear",
            6,
            2.0_f32.to_le_bytes().to_vec(),
            0.5,
        ),
    ] {
        assert_eq!(scale(&with_entry(key, kind, &value)), expected, "{key}");
    }
}

#[test]
fn a_llama_is_cut_after_the_embedding_and_each_residual_add() {
    let graph = tiny().1;
    let kinds: Vec<_> = graph.units.iter().map(|unit| unit.kind).collect();
    let blocks = graph.caches.len();
    assert_eq!(kinds.first(), Some(&UnitKind::Embedding));
    assert_eq!(kinds.last(), Some(&UnitKind::Head));
    assert_eq!(
        kinds[1..kinds.len() - 1],
        [UnitKind::Attention, UnitKind::Mlp].repeat(blocks)
    );
    for (unit, next) in graph.units.iter().zip(&graph.units[1..]) {
        assert_eq!(next.input, Some(unit.output));
        assert_eq!(next.ops.start, unit.ops.end);
        assert!(graph.crosses_cut(unit.output));
    }
    assert!(!graph.crosses_cut(graph.units.last().unwrap().output));
}

#[test]
fn only_the_residual_stream_crosses_cuts_of_a_llama() {
    let graph = tiny().1;
    let map = transmission::map(&graph, WireDtype::F16Scaled);
    assert_eq!(map.len(), graph.units.len() - 1);
    for (producer, sent) in (0..).zip(map) {
        assert_eq!(sent.producer, producer);
        assert_eq!(sent.consumers, [producer + 1]);
        assert_eq!(sent.bytes_per_column, 4 + 2 * u64::from(graph.hidden_width));
    }
}

#[test]
fn segments_share_out_every_weight_byte() {
    let graph = tiny().1;
    let end = graph.units.len() as u32;
    let all = [UnitRange { start: 0, end }];
    let total = segment::weight_bytes(&graph, &all);
    assert_eq!(
        segment::unit_weight_bytes(&graph).iter().sum::<u64>(),
        total
    );
    for cut in 1..end {
        let (a, b) = (
            UnitRange { start: 0, end: cut },
            UnitRange { start: cut, end },
        );
        let bytes = |range| segment::weight_bytes(&graph, &[range]);
        let tied = bytes(a) + bytes(b) - total;
        assert!(tied == 0 || tied == bytes(UnitRange { start: 0, end: 1 }));
        for range in [a, b] {
            let ranges = segment::byte_ranges(&graph, &[range]);
            assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
            assert_eq!(
                ranges.iter().map(|r| r.end - r.start).sum::<u64>(),
                bytes(range)
            );
        }
    }
}

#[test]
fn a_manifest_holds_every_byte_of_a_segment_and_notices_any_flipped_bit() {
    let (header, graph) = tiny();
    let manifest = manifest_of(TINY, &header);
    manifest.check().unwrap();
    let end = graph.units.len() as u32;
    let ranges = segment::byte_ranges(
        &graph,
        &[UnitRange {
            start: 1,
            end: end - 1,
        }],
    );
    let covering = manifest.covering(&ranges);
    let bytes: u64 = covering
        .iter()
        .map(|index| u64::from(manifest.chunks[*index].bytes))
        .sum();
    assert_eq!(
        bytes,
        ranges
            .iter()
            .map(|range| range.end - range.start)
            .sum::<u64>()
    );
    // A thousand flipped bits in all, spread over every chunk.
    let flips = 1_000_usize.div_ceil(manifest.chunks.len());
    for chunk in &manifest.chunks {
        let mut bytes = TINY[chunk.offset as usize..chunk.end() as usize].to_vec();
        chunk.verify(&bytes).unwrap();
        for flip in 0..flips {
            let (at, bit) = (flip * 7_919 % bytes.len(), 1 << (flip % 8));
            bytes[at] ^= bit;
            assert_eq!(chunk.verify(&bytes).unwrap_err().code(), "model.chunk_hash");
            bytes[at] ^= bit;
        }
    }
}

#[test]
fn a_manifest_is_named_by_its_content_and_checked() {
    let (header, _) = tiny();
    let good = manifest_of(TINY, &header);
    let mut other = good.clone();
    other.chunks[3] = Chunk::of(
        other.chunks[3].offset,
        &vec![1; other.chunks[3].bytes as usize],
    );
    assert_ne!(good.id(), other.id());
    let mut wrong = [good.clone(), good.clone(), good.clone(), good.clone()];
    wrong[0].chunks.swap(1, 2);
    wrong[1].file_bytes -= 1;
    wrong[2].chunks[0].bytes = 0;
    wrong[3].header_bytes = u64::MAX;
    assert!(wrong.iter().all(|manifest| manifest.check().is_err()));
}

#[test]
fn rows_are_whole_blocks() {
    assert_eq!(DType::Q4_1.row_bytes(64), Some(40));
    assert_eq!(DType::Q4_1.row_bytes(48), None);
}
