//! Chunks over the network: neighbours in one range request, verified one by one as they arrive, retried where it fails.

use core::ops::Range;
use std::collections::VecDeque;

use futures::StreamExt;
use model::manifest::Chunk;
use session::Fault;
use wasm_streams::ReadableStream;

use super::assembler::Assembler;
use crate::{
    clock::sleep,
    error::{BrowserError, of_model},
    http,
};

/// One request asks for no more than this, so that a broken one loses little.
const MAX_REQUEST_BYTES: u64 = 8 << 20;
/// Chunks closer than this are one request: tensors are padded to 32 bytes or so.
const MAX_GAP_BYTES: u64 = 64;
/// Waits before the second, third, ... try.
pub const BACKOFF_MS: [f64; 4] = [250.0, 1000.0, 2000.0, 4000.0];

/// Chunks of one range request, ascending.
type Run = VecDeque<Chunk>;

/// Groups chunks, ascending, into requests.
pub fn requests(chunks: Vec<Chunk>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for chunk in chunks {
        match runs.last_mut() {
            Some(run) if joins(run, &chunk) => run.push_back(chunk),
            _ => runs.push(VecDeque::from([chunk])),
        }
    }
    runs
}

fn joins(run: &Run, chunk: &Chunk) -> bool {
    let range = range(run);
    chunk.offset.saturating_sub(range.end) <= MAX_GAP_BYTES
        && end(chunk).saturating_sub(range.start) <= MAX_REQUEST_BYTES
}

fn range(run: &Run) -> Range<u64> {
    run.front().map_or(0, |first| first.offset)..run.back().map_or(0, end)
}

fn end(chunk: &Chunk) -> u64 {
    chunk.offset.saturating_add(u64::from(chunk.bytes))
}

/// Why a request ended early.
enum Stopped {
    /// Worth another try.
    Network(Fault),
    /// A chunk has another hash than the manifest says.
    Damaged(Fault, u64),
    /// Whoever takes the chunks wants no more.
    Refused(Fault),
}

/// Fetches the chunks of a run from `url` and hands each to `take`, verified.
///
/// # Errors
/// The network, after several tries; `model.chunk_hash` where a chunk is damaged twice; whatever `take` says.
pub async fn fetch(
    url: &str,
    mut run: Run,
    take: &mut impl AsyncFnMut(&Chunk, &[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut waits = BACKOFF_MS.iter();
    let mut damaged_at = None;
    while !run.is_empty() {
        let wanted = run.len();
        let stopped = match attempt(url, &mut run, take).await {
            Ok(()) => return Ok(()),
            Err(stopped) => stopped,
        };
        if run.len() < wanted {
            waits = BACKOFF_MS.iter();
        }
        match stopped {
            Stopped::Refused(fault) => return Err(fault),
            Stopped::Damaged(fault, offset) if damaged_at == Some(offset) => return Err(fault),
            Stopped::Damaged(_, offset) => damaged_at = Some(offset),
            Stopped::Network(fault) => sleep(*waits.next().ok_or(fault)?).await,
        }
    }
    Ok(())
}

/// One request. Chunks that were taken are gone from `run` afterwards.
async fn attempt(
    url: &str,
    run: &mut Run,
    take: &mut impl AsyncFnMut(&Chunk, &[u8]) -> Result<(), Fault>,
) -> Result<(), Stopped> {
    let response = http::get_range(url, &range(run))
        .await
        .map_err(refusal_or_network)?;
    let broken = || {
        Stopped::Network(
            BrowserError::ServerUnreachable {
                url: url.to_owned(),
            }
            .into(),
        )
    };
    let body = response.body().ok_or_else(broken)?;
    let mut pieces = ReadableStream::from_raw(body).into_stream();
    let mut assembler = Assembler::new(run.clone());
    while let Some(piece) = pieces.next().await {
        let piece = js_sys::Uint8Array::new(&piece.map_err(|_| broken())?).to_vec();
        let mut bytes = piece.as_slice();
        while let Some((chunk, body)) = assembler.take(&mut bytes) {
            chunk
                .verify(&body)
                .map_err(|error| Stopped::Damaged(of_model(&error), chunk.offset))?;
            take(&chunk, &body).await.map_err(Stopped::Refused)?;
            run.pop_front();
        }
    }
    if run.is_empty() {
        Ok(())
    } else {
        Err(broken())
    }
}

/// Server trouble may pass; an answer like "no such model" will not.
fn refusal_or_network(fault: Fault) -> Stopped {
    if fault.code.starts_with("server.") {
        Stopped::Network(fault)
    } else {
        Stopped::Refused(fault)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use js_sys::{Array, Uint8Array};
    use wasm_bindgen_test::wasm_bindgen_test;
    use web_sys::{Blob, Url};

    use super::*;
    use crate::testing::chunk;

    /// A file as a server would serve it; browsers answer range requests to blobs.
    fn serve(bytes: &[u8]) -> String {
        let blob = Blob::new_with_u8_array_sequence(&Array::of1(&Uint8Array::from(bytes))).unwrap();
        Url::create_object_url_with_blob(&blob).unwrap()
    }

    fn numbers(count: u32) -> Vec<u8> {
        (0..count).map(|i| (i % 251) as u8).collect()
    }

    #[wasm_bindgen_test]
    fn neighbours_share_a_request_and_strangers_do_not() {
        let file = vec![0; 40 << 20];
        let chunk = |offset: usize, bytes: usize| chunk(&file, offset, bytes);
        let (mib, padding) = (1 << 20, 32);
        let lengths = |chunks| {
            requests(chunks)
                .iter()
                .map(VecDeque::len)
                .collect::<Vec<_>>()
        };
        assert_eq!(lengths(vec![chunk(0, 10), chunk(10 + padding, 10)]), [2]);
        assert_eq!(lengths(vec![chunk(0, 10), chunk(1000, 10)]), [1, 1]);
        assert_eq!(
            lengths((0..10).map(|i| chunk(i * mib, mib)).collect()),
            [8, 2],
            "a request has a largest size"
        );
        assert_eq!(lengths(vec![]), [0_usize; 0]);
    }

    #[wasm_bindgen_test]
    async fn chunks_arrive_whole_verified_and_in_order() {
        let file = numbers(300_000);
        let chunks = vec![
            chunk(&file, 100, 70_000),
            chunk(&file, 70_100, 1),
            chunk(&file, 70_132, 200_000),
        ];
        let mut got = Vec::new();
        for run in requests(chunks.clone()) {
            fetch(
                &serve(&file),
                run,
                &mut async |chunk: &Chunk, bytes: &[u8]| {
                    got.push((chunk.offset, bytes.to_vec()));
                    Ok(())
                },
            )
            .await
            .unwrap();
        }
        let expected = chunks.iter().map(|chunk| {
            (
                chunk.offset,
                file[chunk.offset as usize..][..chunk.bytes as usize].to_vec(),
            )
        });
        assert_eq!(got, expected.collect::<Vec<_>>());
    }

    #[wasm_bindgen_test]
    async fn a_flipped_bit_is_refused_after_a_second_try() {
        let mut file = numbers(3000);
        let chunks = requests(vec![
            chunk(&file, 0, 1000),
            chunk(&file, 1000, 1000),
            chunk(&file, 2000, 1000),
        ]);
        file[1500] ^= 1;
        let taken = RefCell::new(Vec::new());
        let mut take = async |chunk: &Chunk, _: &[u8]| {
            taken.borrow_mut().push(chunk.offset);
            Ok(())
        };
        let fault = fetch(&serve(&file), chunks.into_iter().next().unwrap(), &mut take)
            .await
            .unwrap_err();
        assert_eq!(fault.code, "model.chunk_hash");
        assert_eq!(
            *taken.borrow(),
            [0],
            "what was good is taken once, what follows the damage not at all"
        );
    }

    #[wasm_bindgen_test]
    async fn a_file_that_ends_early_is_a_network_fault() {
        let file = numbers(2000);
        let chunks = requests(vec![chunk(&file, 0, 1000), chunk(&file, 1000, 1000)]).remove(0);
        let mut run = chunks.clone();
        let stopped = attempt(
            &serve(&file[..1500]),
            &mut run,
            &mut async |_: &Chunk, _: &[u8]| Ok(()),
        )
        .await
        .unwrap_err();
        assert!(matches!(stopped, Stopped::Network(fault) if fault.code == "server.unreachable"));
        assert_eq!(
            run.len(),
            1,
            "the first chunk arrived and is not asked for again"
        );
    }

    #[wasm_bindgen_test]
    async fn whoever_takes_chunks_can_refuse() {
        let file = numbers(2000);
        let refusal = Fault {
            code: "test.refused".to_owned(),
            message: String::new(),
            remedy: String::new(),
        };
        let run = requests(vec![chunk(&file, 0, 1000)]).remove(0);
        let fault = fetch(&serve(&file), run, &mut async |_: &Chunk, _: &[u8]| {
            Err(refusal.clone())
        })
        .await
        .unwrap_err();
        assert_eq!(fault, refusal);
    }
}
