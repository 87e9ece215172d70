//! Frames: round trips, limits, and whatever a stranger may send instead.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

use model::{UnitRange, WireDtype};
use proptest::prelude::*;
use proto::frame::{HEADER_BYTES, MAX_PIECE_BYTES, MAX_SLICE_BYTES, slices};
use proto::{Assembler, Frame, FrameHeader, ProtoError, Slice, Wanted};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn header(body_bytes: u32) -> FrameHeader {
    FrameHeader {
        epoch: 3,
        request: 7,
        step: 12,
        stage: 2,
        units: UnitRange { start: 5, end: 9 },
        position: 96,
        columns: 32,
        prefill: true,
        wanted: Wanted::LastColumn,
        dtype: WireDtype::F16Scaled,
        timings: 2,
        body_bytes,
    }
}

fn body(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 31 % 251) as u8).collect()
}

fn cut(header: &FrameHeader, body: &[u8]) -> Vec<Vec<u8>> {
    slices(header, body).unwrap().collect()
}

/// Feeds messages one by one; the last result.
fn assemble(messages: &[Vec<u8>]) -> Result<Option<Frame>, ProtoError> {
    let mut assembler = Assembler::default();
    let mut last = Ok(None);
    for message in messages {
        last = assembler.add(Slice::parse(message)?, 1 << 20);
    }
    last
}

fn any_header() -> impl Strategy<Value = FrameHeader> {
    let numbers = prop::array::uniform7(any::<u32>());
    (numbers, any::<u16>(), any::<u8>(), any::<[bool; 3]>()).prop_map(
        |([epoch, request, step, start, end, position, columns], stage, timings, flags)| {
            FrameHeader {
                epoch,
                request,
                step,
                stage,
                units: UnitRange { start, end },
                position,
                columns,
                prefill: flags[0],
                wanted: if flags[1] {
                    Wanted::LastColumn
                } else {
                    Wanted::Nothing
                },
                dtype: if flags[2] {
                    WireDtype::F32
                } else {
                    WireDtype::F16Scaled
                },
                timings,
                body_bytes: 0,
            }
        },
    )
}

#[test]
fn slices_fill_messages_of_4_kb() {
    let long = body(2 * MAX_PIECE_BYTES + 1);
    let messages = cut(&header(long.len() as u32), &long);
    let lengths: Vec<_> = messages.iter().map(Vec::len).collect();
    assert_eq!(
        lengths,
        [MAX_SLICE_BYTES, MAX_SLICE_BYTES, HEADER_BYTES + 1]
    );
    let exact = body(MAX_PIECE_BYTES);
    assert_eq!(cut(&header(exact.len() as u32), &exact).len(), 1);
}

#[test]
fn a_lost_repeated_or_foreign_slice_is_refused() {
    let long = body(3 * MAX_PIECE_BYTES);
    let messages = cut(&header(long.len() as u32), &long);
    let lost = [messages[0].clone(), messages[2].clone()];
    assert_eq!(assemble(&lost), Err(ProtoError::Order));
    let repeated = [
        messages[0].clone(),
        messages[1].clone(),
        messages[1].clone(),
    ];
    assert_eq!(assemble(&repeated), Err(ProtoError::Order));
    assert_eq!(assemble(&messages[1..]), Err(ProtoError::Order));
    let other = FrameHeader {
        step: 13,
        ..header(long.len() as u32)
    };
    let foreign = [messages[0].clone(), cut(&other, &long)[1].clone()];
    assert_eq!(assemble(&foreign), Err(ProtoError::Order));
}

#[test]
fn a_first_slice_starts_anew() {
    let long = body(2 * MAX_PIECE_BYTES);
    let messages = cut(&header(long.len() as u32), &long);
    let again = [
        messages[0].clone(),
        messages[0].clone(),
        messages[1].clone(),
    ];
    assert_eq!(assemble(&again).unwrap().unwrap().body, long);
}

#[test]
fn an_announced_length_is_checked_before_memory_is_taken() {
    let long = body(5_000);
    let first = cut(&header(5_000), &long).remove(0);
    let slice = Slice::parse(&first).unwrap();
    let refused = Assembler::default().add(slice, 4_999);
    assert_eq!(
        refused,
        Err(ProtoError::TooLong {
            bytes: 5_000,
            most: 4_999
        })
    );
    assert!(Assembler::default().add(slice, 5_000).is_ok());
}

#[test]
fn a_body_of_another_length_is_not_sent() {
    assert!(slices(&header(11), &body(10)).is_err());
    assert!(slices(&header(0), &[]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_frame_comes_back(header in any_header(), bytes in 1..20_000_usize) {
        let header = FrameHeader { body_bytes: bytes as u32, ..header };
        let body = body(bytes);
        let messages = cut(&header, &body);
        prop_assert!(messages.iter().all(|message| message.len() <= MAX_SLICE_BYTES));
        prop_assert_eq!(assemble(&messages).unwrap(), Some(Frame { header, body }));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..5_000)) {
        if let Ok(slice) = Slice::parse(&bytes) {
            let mut assembler = Assembler::default();
            let _ = assembler.add(slice, 1 << 16);
        }
    }

    #[test]
    fn a_damaged_slice_is_read_or_refused(bytes in 1..9_000_usize, at in 0..64_usize, value in any::<u8>()) {
        let mut messages = cut(&header(bytes as u32), &body(bytes));
        let damaged = messages.last_mut().unwrap();
        let at = at.min(damaged.len() - 1);
        damaged[at] = value;
        if let Ok(Some(frame)) = assemble(&messages) {
            prop_assert_eq!(frame.body.len(), frame.header.body_bytes as usize);
        }
    }
}
