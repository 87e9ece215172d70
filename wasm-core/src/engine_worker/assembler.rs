//! Cuts a byte stream into the chunks it was asked for. Pure.

use std::collections::VecDeque;

use model::manifest::Chunk;

/// Bytes of a file from `position` on, and the chunks expected in them, ascending.
pub struct Assembler {
    position: u64,
    expected: VecDeque<Chunk>,
    /// The start of the first expected chunk, as far as it arrived.
    partial: Vec<u8>,
}

impl Assembler {
    /// A stream that starts where the first chunk starts.
    pub fn new(expected: VecDeque<Chunk>) -> Self {
        let position = expected.front().map_or(0, |chunk| chunk.offset);
        Self {
            position,
            expected,
            partial: Vec::new(),
        }
    }

    /// Takes what it can of `bytes` and advances them; returns a chunk as soon as one is whole. Call until `bytes` is empty.
    /// Bytes between chunks (padding of tensors) and after the last are dropped.
    pub fn take(&mut self, bytes: &mut &[u8]) -> Option<(Chunk, Vec<u8>)> {
        while !bytes.is_empty() {
            let Some(chunk) = self.expected.front() else {
                *bytes = &[];
                return None;
            };
            let gap =
                usize::try_from(chunk.offset.saturating_sub(self.position)).unwrap_or(usize::MAX);
            self.advance(bytes, gap);
            let missing = (chunk_len(self.expected.front()?)).saturating_sub(self.partial.len());
            let taken = self.advance(bytes, missing);
            self.partial.extend_from_slice(taken);
            if taken.len() == missing && !self.partial.is_empty() {
                let chunk = self.expected.pop_front()?;
                return Some((chunk, std::mem::take(&mut self.partial)));
            }
        }
        None
    }

    fn advance<'a>(&mut self, bytes: &mut &'a [u8], most: usize) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(most.min(bytes.len()));
        *bytes = rest;
        self.position += taken.len() as u64;
        taken
    }
}

fn chunk_len(chunk: &Chunk) -> usize {
    chunk.bytes as usize
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;
    use crate::testing::chunk;

    #[wasm_bindgen_test]
    fn chunks_come_out_the_same_however_the_stream_is_cut() {
        let file: Vec<u8> = (0..200).collect();
        let chunks = VecDeque::from([
            chunk(&file, 10, 20),
            chunk(&file, 30, 1),
            chunk(&file, 40, 50),
        ]);
        let expected: Vec<Vec<u8>> = vec![
            file[10..30].to_vec(),
            file[30..31].to_vec(),
            file[40..90].to_vec(),
        ];
        for piece_len in 1..100 {
            let mut assembler = Assembler::new(chunks.clone());
            let mut got = Vec::new();
            for mut piece in file[10..120].chunks(piece_len) {
                while let Some((_, bytes)) = assembler.take(&mut piece) {
                    got.push(bytes);
                }
                assert!(piece.is_empty(), "all of a piece is used up");
            }
            assert_eq!(got, expected, "in pieces of {piece_len}");
        }
    }
}
