//! Bytes from anywhere into every reader: an error or a result, never a panic, and never more memory than the bytes justify.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use model::{
    DType, arch, blocks,
    gguf::{self, Progress},
    hugging_face::{self, Target, VirtualFile, safetensors},
    manifest,
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{RngSeed, TestRunner},
};

/// Counts what this thread asks for.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: hands everything on to the system's allocator.
#[allow(unsafe_code, reason = "the only way to see what is allocated")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.get() + layout.size();
        HELD.set(held);
        MOST.set(MOST.get().max(held));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get().saturating_sub(layout.size()));
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes asked for at once while `work` runs.
fn peak_bytes(work: impl FnOnce()) -> usize {
    let before = HELD.get();
    MOST.set(before);
    work();
    MOST.get().saturating_sub(before)
}

const GGUFS: [&[u8]; 3] = [
    include_bytes!("../../../tests/fixtures/tiny-llama/model-f32.gguf"),
    include_bytes!("../../../tests/fixtures/tiny-gemma3/model-f32.gguf"),
    include_bytes!("../../../tests/fixtures/tiny-bloom/model-f32.gguf"),
];
const SAFETENSORS: &[u8] = include_bytes!("../../../tests/fixtures/tiny-opt/model.safetensors");
const CONFIG: &[u8] = include_bytes!("../../../tests/fixtures/tiny-opt/config.json");
const HEADER_BYTES: usize = 64 << 10;
/// Of a header that is small, memory for what it says is small too: texts and tensors by name, and a graph.
const ALLOWED_BYTES: usize = 32 << 20;

/// Some bytes at some places.
fn damage() -> impl Strategy<Value = Vec<(Index, u8)>> {
    vec((any::<Index>(), any::<u8>()), 1..12)
}

fn damaged(bytes: &[u8], damage: &[(Index, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (place, byte) in damage {
        let place = place.index(bytes.len());
        bytes[place] = *byte;
    }
    bytes
}

fn read_gguf(bytes: &[u8], file_bytes: u64) {
    if let Ok(Progress::Done(header)) = gguf::parse(bytes, Some(file_bytes))
        && let Ok(graph) = arch::build(&header)
    {
        drop(manifest::layout(&header, &graph));
    }
}

fn read_safetensors(header: &[u8], config: &[u8]) {
    if let Ok(tensors) = safetensors::parse(header, SAFETENSORS.len() as u64) {
        drop(VirtualFile::new(config, &[tensors], Target::Q4_0, vec![]));
    }
}

fn feed(cases: u32, seed: u64) {
    let config = ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..ProptestConfig::with_cases(cases)
    };
    let safetensors_bytes = safetensors::header_bytes(*SAFETENSORS.first_chunk().unwrap()).unwrap();
    let header = &SAFETENSORS[..safetensors_bytes as usize];
    let everything = (damage(), 0..3_usize, vec(any::<u8>(), 0..2000));
    TestRunner::new(config)
        .run(&everything, |(damage, which, noise)| {
            let gguf = GGUFS[which];
            let inputs: [&dyn Fn(); 7] = [
                &|| read_gguf(&damaged(&gguf[..HEADER_BYTES], &damage), gguf.len() as u64),
                &|| read_gguf(&noise, noise.len() as u64),
                &|| read_gguf(&[b"GGUF\x03\0\0\0", noise.as_slice()].concat(), u64::MAX),
                &|| read_safetensors(&damaged(header, &damage), CONFIG),
                &|| read_safetensors(header, &damaged(CONFIG, &damage)),
                &|| read_safetensors(&noise, CONFIG),
                &|| drop(hugging_face::shards(&noise)),
            ];
            for (index, read) in inputs.into_iter().enumerate() {
                let bytes = peak_bytes(read);
                prop_assert!(
                    bytes < ALLOWED_BYTES,
                    "input {index} made it ask for {bytes} bytes"
                );
            }
            decode_blocks(&noise);
            Ok(())
        })
        .unwrap();
}

/// Blocks of every type and of every wrong length.
fn decode_blocks(bytes: &[u8]) {
    let mut quants = [0; 256];
    for code in 0..40 {
        let Some(dtype) = DType::from_gguf(code) else {
            continue;
        };
        blocks::quants(dtype, bytes, &mut quants);
        for block in bytes.chunks(dtype.block_bytes() as usize) {
            blocks::quants(dtype, block, &mut quants);
            blocks::scales_and_minima(block);
            blocks::signed_scales(block);
        }
    }
}

#[test]
fn readers_survive_anything() {
    feed(60, 1);
}

#[test]
#[ignore = "long: ./test --full"]
fn readers_survive_a_lot_of_anything() {
    for seed in 0..20 {
        feed(2000, seed);
    }
}
