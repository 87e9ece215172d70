//! I12 on the CPU: generating a token allocates nothing.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod common;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use common::llama::{Shape, llama};
use engine::{CpuExecutor, Executor, Input, Phase, Setup, Step, Want, synthetic};
use model::{NumericClass, UnitRange, WireDtype};

/// `pollster::block_on` allocates its waker; nothing here ever waits.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the CPU executor waits for something"),
    }
}

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is handed to the system allocator unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_token_allocates_nothing() {
    let graph = Arc::new(llama(Shape::ODD));
    let (blocks, head) = (
        UnitRange { start: 0, end: 5 },
        UnitRange { start: 5, end: 6 },
    );
    let class = NumericClass {
        wire: WireDtype::F32,
        chunk_columns: 8,
        context_columns: 64,
    };
    let stages = vec![blocks, head];
    let setup = Setup {
        graph: graph.clone(),
        stages: stages.clone(),
        class,
        slots: 1,
    };
    let mut executor = CpuExecutor::new(setup).unwrap();
    synthetic::load(&mut executor, &graph, &stages).unwrap();
    block_on(executor.finish_loading()).unwrap();
    let (mut hidden, mut logits) = (Vec::new(), Vec::new());
    let mut call = |position: u32, tokens: &[u32], phase: Phase| {
        let step = Step {
            stage: blocks,
            slot: 0,
            position,
            columns: tokens.len() as u32,
            phase,
            want: Want::LastColumn,
        };
        block_on(executor.run(&step, Input::Tokens(tokens), &mut hidden)).unwrap();
        let step = Step {
            stage: head,
            columns: 1,
            ..step
        };
        block_on(executor.run(&step, Input::Hidden(&hidden), &mut logits)).unwrap();
    };
    call(0, &[1, 2, 3, 4, 5, 6, 7, 8], Phase::Prefill);
    call(8, &[9], Phase::Decode);
    let before = ALLOCATIONS.get();
    for position in 9..64 {
        call(position, &[position], Phase::Decode);
    }
    call(16, &[1, 2, 3, 4, 5, 6, 7, 8], Phase::Prefill);
    assert_eq!(ALLOCATIONS.get() - before, 0);
    drop(vec![0_u8; 1000]);
    assert!(ALLOCATIONS.get() > before, "the allocator counts");
}
