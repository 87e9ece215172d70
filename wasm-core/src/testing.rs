//! Tests of this crate run in a worker, where stores and executors live.

use model::manifest::Chunk;
use wasm_bindgen_test::wasm_bindgen_test_configure;

wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// A chunk of a file, with its true hash.
pub fn chunk(file: &[u8], offset: usize, bytes: usize) -> Chunk {
    Chunk::of(offset as u64, &file[offset..offset + bytes])
}
