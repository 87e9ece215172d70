//! The generic executor on Burn: what every executor promises, and a second opinion on our own GPU kernels.
//!
//! Needs a Vulkan adapter, as `gpu.rs` does. Part of `./test --full`: Burn takes minutes to compile.

#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

#[macro_use]
#[path = "common/architectures.rs"]
mod architectures;
mod common;

use std::sync::{Arc, OnceLock};

use common::{
    contract::{self, CLASS, bits, decode, loaded, odd, prefill, range, run, setup, whole},
    every_op::every_op,
    file::Tiny,
    llama::{Shape, llama},
};
use engine::{
    Executor, Input, Setup,
    burn::{BurnDevice, BurnExecutor},
    gpu::{GpuDevice, GpuExecutor},
    self_test, synthetic,
};
use model::{DType, WireDtype};
use pollster::block_on;

/// A device of its own.
fn new_device() -> BurnDevice {
    let gpu = block_on(GpuDevice::request("test")).unwrap_or_else(|error| {
        panic!("{error}\nInstall a Vulkan driver; on Debian without a GPU: apt install mesa-vulkan-drivers")
    });
    BurnDevice::new(&gpu).unwrap()
}

/// One for all tests, so that kernels are compiled once.
fn device() -> &'static BurnDevice {
    static DEVICE: OnceLock<BurnDevice> = OnceLock::new();
    DEVICE.get_or_init(new_device)
}

/// An executor that is not loaded yet.
fn make(setup: Setup) -> BurnExecutor {
    BurnExecutor::new(device(), setup).unwrap()
}

#[test]
fn every_op_agrees_with_the_cpu_in_every_storage_type_on_odd_shapes() {
    for dtype in [
        DType::F32,
        DType::BF16,
        DType::Q8_0,
        DType::Q4_1,
        DType::Q6_K,
    ] {
        contract::every_op_agrees_with_the_cpu(dtype, &make);
    }
}

#[test]
fn rounding_at_cuts_has_the_bits_of_the_wire() {
    contract::rounding_at_cuts_has_the_bits_of_the_wire(&make);
}

#[test]
fn requests_in_different_slots_do_not_see_each_other() {
    contract::requests_in_different_slots_do_not_see_each_other(&make);
}

#[test]
fn rows_may_arrive_one_by_one_and_all_must_arrive() {
    for dtype in [DType::F16, DType::Q4_K] {
        contract::rows_may_arrive_one_by_one_and_all_must_arrive(dtype, &make);
    }
}

#[test]
fn verifying_several_columns_has_the_bits_of_one_by_one() {
    contract::verifying_several_columns_has_the_bits_of_one_by_one(&make, contract::BOUND);
}

#[test]
fn fewer_wanted_columns_are_the_last_and_leave_the_same_cache() {
    contract::fewer_wanted_columns_are_the_last_and_leave_the_same_cache(&make);
}

#[test]
fn a_replay_has_the_bits_of_the_first_run() {
    contract::a_replay_has_the_bits_of_the_first_run(&make);
}

#[test]
fn misuse_is_refused_as_on_the_cpu() {
    contract::misuse_is_refused_as_on_the_cpu(&make);
}

/// Our kernels and Burn's agree more closely with each other than the bound with the CPU asks.
#[test]
fn the_two_gpu_executors_agree() {
    for dtype in [DType::F16, DType::Q4_0, DType::Q5_K] {
        let graph = Arc::new(every_op(dtype));
        let stage = whole(&graph);
        let setup = setup(&graph, &[stage], CLASS);
        let ours = GpuExecutor::new(device().gpu(), setup.clone()).unwrap();
        let mut ours = loaded(ours, &graph, &[stage]);
        let mut generic = loaded(make(setup), &graph, &[stage]);
        let tokens = synthetic::tokens(&graph, 8);
        let step = prefill(stage, 0, 8);
        let expected = run(&mut ours, step, Input::Tokens(&tokens));
        let found = run(&mut generic, step, Input::Tokens(&tokens));
        let largest = expected
            .iter()
            .fold(0.0_f32, |largest, x| largest.max(x.abs()));
        let errors = expected.iter().zip(&found).map(|(a, b)| (a - b).abs());
        let error = errors.fold(0.0, f32::max) / largest;
        assert!(error > 0.0 && error < 1e-4, "{dtype:?}: {error}");
    }
}

#[test]
fn weights_larger_than_a_binding_lie_in_several() {
    let gpu = block_on(GpuDevice::request("test")).unwrap();
    let small = BurnDevice::new(&gpu.with_bindings_of(3500)).unwrap();
    let graph = Arc::new(llama(odd(DType::F16)));
    let stage = whole(&graph);
    let setup = setup(&graph, &[stage], CLASS);
    let mut one = loaded(make(setup.clone()), &graph, &[stage]);
    let several = BurnExecutor::new(&small, setup).unwrap();
    let mut several = loaded(several, &graph, &[stage]);
    let tokens = synthetic::tokens(&graph, 8);
    let step = prefill(stage, 0, 8);
    let expected = run(&mut one, step, Input::Tokens(&tokens));
    let found = run(&mut several, step, Input::Tokens(&tokens));
    // A narrower product may be added up in another order.
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
}

/// Weights as f32 and caches at least; what CubeCL keeps for calls to come besides.
#[test]
fn memory_is_told_truthfully() {
    let graph = Arc::new(llama(odd(DType::Q4_0)));
    let (stage, device) = (whole(&graph), new_device());
    let executor = BurnExecutor::new(&device, setup(&graph, &[stage], CLASS)).unwrap();
    let mut executor = loaded(executor, &graph, &[stage]);
    let elements: u64 = graph
        .weights
        .iter()
        .map(|weight| u64::from(weight.rows) * u64::from(weight.cols))
        .sum();
    let cached: u64 = graph
        .caches
        .iter()
        .map(|cache| u64::from(cache.width))
        .sum();
    let least = 4 * (elements + 2 * cached * u64::from(CLASS.context_columns));
    let loaded_bytes = executor.resident_bytes();
    assert!(loaded_bytes >= least, "{loaded_bytes} of {least}");
    for position in 0..20 {
        run(
            &mut executor,
            decode(stage, position, 1),
            Input::Tokens(&[1]),
        );
    }
    let after_20 = executor.resident_bytes();
    for position in 20..60 {
        run(
            &mut executor,
            decode(stage, position, 1),
            Input::Tokens(&[1]),
        );
    }
    // CubeCL's pool may take one more page; a call that left its values behind would take a hundred.
    let after_60 = executor.resident_bytes();
    assert!(
        after_60 <= after_20 + after_20 / 10,
        "calls leave something behind: {after_20}, then {after_60} bytes"
    );
}

/// What a hostile neighbour sends must not outlive the call it was sent for.
#[test]
fn what_is_not_finite_is_forgotten_with_its_columns() {
    let graph = Arc::new(llama(odd(DType::F32)));
    let block = range(1, 2);
    let mut executor = loaded(make(setup(&graph, &[block], CLASS)), &graph, &[block]);
    let hidden = synthetic::hidden(&graph, 8);
    let clean = run(&mut executor, prefill(block, 0, 8), Input::Hidden(&hidden));
    let width = graph.hidden_width as usize;
    let infinite = vec![f32::INFINITY; width];
    run(&mut executor, decode(block, 8, 1), Input::Hidden(&infinite));
    let again = run(&mut executor, prefill(block, 0, 8), Input::Hidden(&hidden));
    assert_eq!(bits(&again), bits(&clean));
}

#[test]
fn a_lost_device_is_a_typed_error() {
    let device = new_device();
    let graph = Arc::new(llama(Shape::ODD));
    let stage = whole(&graph);
    let executor = BurnExecutor::new(&device, setup(&graph, &[stage], CLASS)).unwrap();
    let mut executor = loaded(executor, &graph, &[stage]);
    run(&mut executor, decode(stage, 0, 1), Input::Tokens(&[1]));
    device.gpu().destroy();
    let mut out = Vec::new();
    let error =
        block_on(executor.run(&decode(stage, 1, 1), Input::Tokens(&[1]), &mut out)).unwrap_err();
    assert_eq!(error.code(), "engine.device_lost");
}

architectures!();

fn tested_at_join(tiny: &Tiny) {
    let class = model::NumericClass {
        wire: WireDtype::F16Scaled,
        ..CLASS
    };
    let make = async |setup| BurnExecutor::new(device(), setup);
    let error = block_on(self_test::run(&tiny.model.graph, class, make)).unwrap();
    assert!(error > 0.0, "the two executors are not one");
}
