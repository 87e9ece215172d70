//! The GPU executor against the CPU's, and against itself: any split, any number of columns, any replay gives the same bits.
//!
//! Needs a Vulkan adapter; a software one (lavapipe: Debian's `mesa-vulkan-drivers`) will do.

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

use std::sync::{Arc, LazyLock};

use common::{
    contract::{self, CLASS, bits, decode, loaded, odd, prefill, range, run, setup, whole},
    file::Tiny,
    llama::{Shape, llama},
};
use engine::{
    Executor, Input, Setup, Step, Want,
    gpu::{Arithmetic, GpuDevice, GpuExecutor, LinearKernels, Numbers, Variant},
    self_test, synthetic,
};
use model::{DType, Graph, NumericClass, UnitRange, WireDtype, segment};
use pollster::block_on;

/// As adapters have them that offer nothing.
const PLAIN: [Variant; 2] = [
    Variant::plain(LinearKernels::Parallel),
    Variant::plain(LinearKernels::Serial),
];

/// One for all tests, so that every kernel is compiled once. With the kernels of phones, which fuse more than those for software
/// adapters.
fn device() -> GpuDevice {
    static SHARED: LazyLock<GpuDevice> = LazyLock::new(own_device);
    SHARED.clone()
}

/// Of a test that counts its objects, or loses it.
fn own_device() -> GpuDevice {
    adapter().with_variant(Variant::plain(LinearKernels::Parallel))
}

/// With the kernels that suit it.
fn adapter() -> GpuDevice {
    block_on(GpuDevice::request("test")).unwrap_or_else(|error| {
        panic!("{error}\nInstall a Vulkan driver; on Debian without a GPU: apt install mesa-vulkan-drivers")
    })
}

/// An executor on the shared device that is not loaded yet.
fn make(setup: Setup) -> GpuExecutor {
    GpuExecutor::new(&device(), setup).unwrap()
}

/// Those two, and every other arithmetic of this adapter.
fn variants() -> Vec<Variant> {
    let offered = device().offers().variants().into_iter();
    let others = offered.filter(|variant| variant.arithmetic != Arithmetic::Float);
    PLAIN.into_iter().chain(others).collect()
}

/// The same with a variant.
fn of(variant: Variant) -> impl Fn(Setup) -> GpuExecutor {
    let device = device().with_variant(variant);
    move |setup| GpuExecutor::new(&device, setup).unwrap()
}

/// Rule 5's bound.
const fn bound(variant: Variant) -> f32 {
    match variant.arithmetic {
        Arithmetic::Prepared(Numbers::Halves) => 1e-2,
        Arithmetic::Float | Arithmetic::Prepared(Numbers::Integers) => 1e-3,
    }
}

fn gpu(
    device: &GpuDevice,
    graph: &Arc<Graph>,
    stages: &[UnitRange],
    class: NumericClass,
) -> GpuExecutor {
    loaded(
        GpuExecutor::new(device, setup(graph, stages, class)).unwrap(),
        graph,
        stages,
    )
}

#[test]
fn every_op_agrees_with_the_cpu_in_every_storage_type_on_odd_shapes() {
    // How a storage type is read does not depend on how products are spread.
    let needless = |variant: &Variant, dtype| {
        let is_plain = PLAIN.contains(variant) || variant.linear == LinearKernels::Parallel;
        !is_plain && ![DType::Q8_0, DType::Q4_K].contains(&dtype)
    };
    for dtype in DType::ALL {
        let variants = variants().into_iter();
        for variant in variants.filter(|variant| !needless(variant, dtype)) {
            contract::every_op_agrees_with_the_cpu(dtype, &of(variant));
        }
    }
}

/// Kernels that compute several products at once, of mixtures of storage types.
#[test]
fn fused_products_agree_with_the_cpu_in_every_storage_type() {
    let class = NumericClass {
        wire: WireDtype::F16Scaled,
        ..CLASS
    };
    let mixed = |dtypes: &[DType]| {
        let mut mixed = llama(odd(DType::Q4_K));
        let matrices = mixed.weights.iter_mut().filter(|weight| weight.rows > 1);
        for (weight, dtype) in matrices.zip(dtypes.iter().cycle()) {
            weight.dtype = *dtype;
        }
        Arc::new(mixed)
    };
    let is_float =
        |dtype: &DType| Arithmetic::Prepared(Numbers::Integers).of(*dtype) == Arithmetic::Float;
    let (floats, quantised): (Vec<_>, Vec<_>) = DType::ALL.into_iter().partition(is_float);
    contract::agrees_with_the_cpu(&mixed(&DType::ALL), class, "all", &make);
    contract::agrees_with_the_cpu(&mixed(&floats), class, "floats", &make);
    let is_fused = |variant: &Variant| variant.linear == LinearKernels::Parallel;
    for variant in variants().into_iter().filter(is_fused) {
        let what = format!("{variant}, quantised");
        contract::agrees_with_the_cpu(&mixed(&quantised), class, &what, &of(variant));
    }
}

/// Sums of neighbouring lanes are added in the same order, whether lanes hand them to each other or write them to memory.
#[test]
fn subgroups_give_the_bits_of_kernels_without() {
    let graph = Arc::new(llama(odd(DType::Q4_0)));
    let stage = whole(&graph);
    let tokens = synthetic::tokens(&graph, 20);
    let outputs = |variant: Variant| {
        let device = device().with_variant(variant);
        let mut executor = gpu(&device, &graph, &[stage], CLASS);
        let steps = [
            prefill(stage, 0, 8),
            decode(stage, 8, 1),
            decode(stage, 9, 5),
        ];
        steps.map(|step| {
            let tokens = &tokens[step.position as usize..][..step.columns as usize];
            bits(&run(&mut executor, step, Input::Tokens(tokens)))
        })
    };
    assert!(device().offers().usual().subgroups, "this adapter has none");
    for without in PLAIN {
        let with = Variant {
            subgroups: true,
            ..without
        };
        assert!(outputs(with) == outputs(without), "{with}");
    }
}

#[test]
fn the_self_test_lets_this_adapter_in() {
    let device = adapter();
    let graph = llama(Shape::SMOLLM2);
    let class = NumericClass {
        wire: WireDtype::F16Scaled,
        chunk_columns: 32,
        context_columns: 512,
    };
    let error = block_on(self_test::run(&graph, class, async |setup| {
        GpuExecutor::new(&device, setup)
    }));
    println!(
        "{}: largest error {}",
        device.adapter_name(),
        error.unwrap()
    );
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
    for dtype in DType::ALL {
        contract::rows_may_arrive_one_by_one_and_all_must_arrive(dtype, &make);
    }
}

#[test]
fn weights_larger_than_a_binding_lie_in_several() {
    let device = own_device();
    let class = NumericClass {
        context_columns: 20,
        ..CLASS
    };
    let graph = Arc::new(llama(odd(DType::F16)));
    let stage = whole(&graph);
    let small = device.clone().with_bindings_of(5000);
    // Compiles the kernels.
    gpu(&device, &graph, &[stage], class);
    let before = device.objects_created();
    let mut one = gpu(&device, &graph, &[stage], class);
    let between = device.objects_created();
    let mut several = gpu(&small, &graph, &[stage], class);
    assert!(device.objects_created() - between > between - before + 8);
    let tokens = synthetic::tokens(&graph, 8);
    for step in [prefill(stage, 0, 8), decode(stage, 8, 3)] {
        let input = Input::Tokens(&tokens[..step.columns as usize]);
        assert_eq!(
            bits(&run(&mut several, step, input)),
            bits(&run(&mut one, step, input))
        );
    }
    let tiny = device.with_bindings_of(64);
    let error = GpuExecutor::new(&tiny, setup(&graph, &[stage], class))
        .map(drop)
        .unwrap_err();
    assert_eq!(error.code(), "engine.gpu_limit");
}

#[test]
fn verifying_several_columns_has_the_bits_of_one_by_one() {
    for variant in variants() {
        contract::verifying_several_columns_has_the_bits_of_one_by_one(
            &of(variant),
            bound(variant),
        );
    }
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
fn a_token_creates_no_object_on_the_device() {
    let own = own_device();
    let graph = Arc::new(llama(odd(DType::Q4_1)));
    let (blocks, head) = (range(0, 5), range(5, 6));
    for variant in variants() {
        let device = own.clone().with_variant(variant);
        let mut executor = gpu(&device, &graph, &[blocks, head], CLASS);
        let before = device.objects_created();
        assert!(before > 20, "the device counts");
        let resident = executor.resident_bytes();
        for position in 0..40 {
            let hidden = run(
                &mut executor,
                decode(blocks, position, 1),
                Input::Tokens(&[position]),
            );
            run(
                &mut executor,
                decode(head, position, 1),
                Input::Hidden(&hidden),
            );
        }
        run(&mut executor, prefill(blocks, 0, 8), Input::Tokens(&[1; 8]));
        assert_eq!(device.objects_created(), before, "{variant}");
        assert_eq!(executor.resident_bytes(), resident, "{variant}");
    }
}

/// Products of prepared numbers have one dispatch more each, for what enters queries, keys and values, the attention's output, gate
/// and up, and down.
#[test]
fn preparing_what_enters_adds_four_dispatches_to_a_layer() {
    let graph = Arc::new(llama(odd(DType::Q4_1)));
    let of_layer = |variant: Variant| {
        let device = device().with_variant(variant);
        let [one, two] = [3, 5].map(|end| {
            let stage = range(0, end);
            let mut executor = gpu(&device, &graph, &[stage], CLASS);
            run(&mut executor, decode(stage, 0, 1), Input::Tokens(&[1]));
            executor.dispatches()
        });
        two - one
    };
    let plain = of_layer(Variant::plain(LinearKernels::Parallel));
    for variant in variants() {
        if variant.linear == LinearKernels::Parallel && variant.arithmetic != Arithmetic::Float {
            assert_eq!(of_layer(variant), plain + 4, "{variant}");
        }
    }
}

/// With any variant, before and after a prompt and an answer as rooms have them.
#[test]
fn no_more_is_held_than_the_planner_reckons() {
    for name in ["llama", "gemma3", "gpt2", "bloom"] {
        let model = Tiny::open(name).model;
        let graph = &model.graph;
        let end = model.all_units().end;
        let class = NumericClass {
            wire: WireDtype::F16Scaled,
            chunk_columns: 32,
            context_columns: 128,
        };
        for stages in [vec![range(0, end)], vec![range(0, 2), range(end - 1, end)]] {
            let reckoned = segment::weight_bytes(graph, &stages)
                + segment::kv_bytes(graph, &stages, class.context_columns)
                + segment::scratch_bytes(graph, class.chunk_columns);
            for variant in variants() {
                let mut executor = model.load(of(variant)(setup(graph, &stages, class)), &stages);
                if let [stage] = stages[..] {
                    let step = Step {
                        want: Want::LastColumn,
                        ..prefill(stage, 0, 32)
                    };
                    run(&mut executor, step, Input::Tokens(&[1; 32]));
                    run(&mut executor, decode(stage, 32, 1), Input::Tokens(&[1]));
                }
                let held = executor.resident_bytes();
                assert!(
                    held <= reckoned,
                    "{name}, {stages:?}, {variant}: {held} of {reckoned} bytes"
                );
            }
        }
    }
}

/// What one more layer adds to a decode call: the fewer, the less a token waits for anything but weights.
#[test]
fn a_layer_has_few_dispatches() {
    let device = own_device();
    let class = NumericClass {
        wire: WireDtype::F16Scaled,
        ..CLASS
    };
    for (name, most) in [
        ("llama", 7),
        ("llama31", 7),
        ("qwen2", 7),
        ("qwen3", 7),
        ("phi3", 7),
        ("gemma3", 9),
        ("gpt2", 11),
        ("opt", 11),
        ("opt350", 11),
        ("bloom", 11),
        ("gptj", 11),
    ] {
        let tiny = Tiny::open(name);
        let model = &tiny.model;
        let head = model.all_units().end - 1;
        let of_units = |end: u32, variant: Variant| {
            let (device, stage) = (device.clone().with_variant(variant), range(0, end));
            let executor = GpuExecutor::new(&device, setup(&model.graph, &[stage], class));
            let mut executor = model.load(executor.unwrap(), &[stage]);
            let created = device.objects_created();
            run(&mut executor, decode(stage, 0, 1), Input::Tokens(&[1]));
            assert_eq!(device.objects_created(), created);
            executor.dispatches()
        };
        let is_attention = |unit: &&model::Unit| unit.kind == model::UnitKind::Attention;
        let layers = model.graph.units.iter().filter(is_attention).count() as u32;
        let units_per_layer = (head - 1) / layers;
        let per_layer =
            |variant| of_units(head, variant) - of_units(head - units_per_layer, variant);
        let [fused, op_by_op] = PLAIN.map(per_layer);
        println!("{name}: {fused} dispatches per layer, op by op {op_by_op}");
        assert!(fused <= most, "{name}: {fused} dispatches per layer");
        assert!(fused < op_by_op, "{name}: nothing was fused");
    }
}

#[test]
fn misuse_is_refused_as_on_the_cpu() {
    contract::misuse_is_refused_as_on_the_cpu(&make);
}

#[test]
fn a_lost_device_is_a_typed_error() {
    let device = own_device();
    let graph = Arc::new(llama(Shape::ODD));
    let stage = whole(&graph);
    let mut executor = gpu(&device, &graph, &[stage], CLASS);
    run(&mut executor, decode(stage, 0, 1), Input::Tokens(&[1]));
    assert!(!device.is_lost());
    device.destroy();
    let mut out = Vec::new();
    let error =
        block_on(executor.run(&decode(stage, 1, 1), Input::Tokens(&[1]), &mut out)).unwrap_err();
    assert_eq!(error.code(), "engine.device_lost");
    assert!(device.is_lost());
}

architectures!();

fn tested_at_join(tiny: &Tiny) {
    let device = device();
    let make = async |setup| GpuExecutor::new(&device, setup);
    let error = block_on(self_test::run(&tiny.model.graph, CLASS, make)).unwrap();
    assert!(error > 0.0, "the two executors are not one");
}
