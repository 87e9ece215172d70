//! The GPU executor against the CPU's, and against itself: any split, any number of columns, any replay gives the same bits.
//!
//! Needs a Vulkan adapter; a software one (lavapipe: Debian's `mesa-vulkan-drivers`) will do.

#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod common;

use std::sync::{Arc, LazyLock};

use common::{
    every_op::every_op,
    file::{Tiny, argmax, floats, ids},
    llama::{Shape, llama},
};
use engine::{
    CpuExecutor, EngineError, Executor, Input, Phase, Setup, Step, Want,
    gpu::{GpuDevice, GpuExecutor, LinearKernels},
    self_test, synthetic,
};
use model::{DType, Graph, NumericClass, UnitRange, WireDtype, wire};
use pollster::block_on;

const DTYPES: [DType; 11] = [
    DType::F32,
    DType::F16,
    DType::BF16,
    DType::Q8_0,
    DType::Q4_0,
    DType::Q4_1,
    DType::Q5_0,
    DType::Q5_1,
    DType::Q4_K,
    DType::Q5_K,
    DType::Q6_K,
];

const KERNELS: [LinearKernels; 2] = [LinearKernels::Parallel, LinearKernels::Serial];

const CLASS: NumericClass = NumericClass {
    wire: WireDtype::F32,
    chunk_columns: 8,
    context_columns: 100,
};

/// Rule 5's bound on the GPU.
const BOUND: f32 = 1e-3;

/// One for all tests, so that every kernel is compiled once. With the kernels of phones, which fuse more than those for software
/// adapters.
fn device() -> GpuDevice {
    static SHARED: LazyLock<GpuDevice> = LazyLock::new(own_device);
    SHARED.clone()
}

/// Of a test that counts its objects, or loses it.
fn own_device() -> GpuDevice {
    adapter().with_linear_kernels(LinearKernels::Parallel)
}

/// With the kernels that suit it.
fn adapter() -> GpuDevice {
    block_on(GpuDevice::request("test")).unwrap_or_else(|error| {
        panic!("{error}\nInstall a Vulkan driver; on Debian without a GPU: apt install mesa-vulkan-drivers")
    })
}

fn range(start: u32, end: u32) -> UnitRange {
    UnitRange { start, end }
}

fn whole(graph: &Graph) -> UnitRange {
    range(0, graph.units.len() as u32)
}

/// Widths of no convenient multiple where the storage type allows it.
fn odd(matrices: DType) -> Shape {
    match matrices {
        DType::F32 | DType::F16 | DType::BF16 => Shape {
            matrices,
            embedding: matrices,
            ..Shape::ODD
        },
        DType::Q4_K | DType::Q5_K | DType::Q6_K => Shape {
            hidden: 256,
            feed_forward: 512,
            heads: 2,
            kv_heads: 1,
            head_dim: 128,
            matrices,
            embedding: matrices,
            ..Shape::ODD
        },
        _ => Shape {
            hidden: 96,
            feed_forward: 160,
            heads: 3,
            kv_heads: 1,
            head_dim: 32,
            matrices,
            embedding: matrices,
            ..Shape::ODD
        },
    }
}

fn loaded<E: Executor>(mut executor: E, graph: &Graph, stages: &[UnitRange]) -> E {
    synthetic::load(&mut executor, graph, stages).unwrap();
    block_on(executor.finish_loading()).unwrap();
    executor
}

fn setup(graph: &Arc<Graph>, stages: &[UnitRange], class: NumericClass) -> Setup {
    Setup {
        graph: graph.clone(),
        stages: stages.to_vec(),
        class,
        slots: 1,
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

fn run(executor: &mut impl Executor, step: Step, input: Input<'_>) -> Vec<f32> {
    let mut out = vec![1.0; 3];
    block_on(executor.run(&step, input, &mut out)).unwrap();
    out
}

fn prefill(stage: UnitRange, position: u32, columns: u32) -> Step {
    Step {
        stage,
        slot: 0,
        position,
        columns,
        phase: Phase::Prefill,
        want: Want::EveryColumn,
    }
}

fn decode(stage: UnitRange, position: u32, columns: u32) -> Step {
    Step {
        phase: Phase::Decode,
        ..prefill(stage, position, columns)
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn agrees_with_the_cpu(device: &GpuDevice, graph: &Arc<Graph>, class: NumericClass, what: &str) {
    let stages: Vec<_> = (0..whole(graph).end)
        .map(|unit| range(unit, unit + 1))
        .collect();
    let setup = setup(graph, &stages, class);
    let mut reference = loaded(CpuExecutor::new(setup.clone()).unwrap(), graph, &stages);
    let mut candidate = loaded(
        GpuExecutor::new(device, setup.clone()).unwrap(),
        graph,
        &stages,
    );
    let error = block_on(self_test::compare(&mut candidate, &mut reference, &setup));
    error.unwrap_or_else(|error| panic!("{what}, {class:?}: {error}"));
}

#[test]
fn every_op_agrees_with_the_cpu_in_every_storage_type_on_odd_shapes() {
    for (dtype, kernels) in DTYPES
        .into_iter()
        .flat_map(|dtype| KERNELS.map(|kernels| (dtype, kernels)))
    {
        let device = device().with_linear_kernels(kernels);
        for (wire, chunk_columns) in [(WireDtype::F32, 37), (WireDtype::F16Scaled, 7)] {
            let class = NumericClass {
                wire,
                chunk_columns,
                context_columns: 100,
            };
            let graph = Arc::new(every_op(dtype));
            agrees_with_the_cpu(&device, &graph, class, &format!("{dtype:?} {kernels:?}"));
        }
    }
}

/// Kernels that compute several products at once, in all storage types and in a mixture of them.
#[test]
fn fused_products_agree_with_the_cpu_in_every_storage_type() {
    let class = NumericClass {
        wire: WireDtype::F16Scaled,
        ..CLASS
    };
    for dtype in DTYPES {
        let graph = Arc::new(llama(odd(dtype)));
        agrees_with_the_cpu(&device(), &graph, class, &format!("{dtype:?}"));
    }
    let mut mixed = llama(odd(DType::Q4_0));
    let dtypes = [
        DType::Q4_0,
        DType::Q5_1,
        DType::Q8_0,
        DType::BF16,
        DType::Q4_1,
    ];
    let matrices = mixed.weights.iter_mut().filter(|weight| weight.rows > 1);
    for (weight, dtype) in matrices.zip(dtypes.into_iter().cycle()) {
        weight.dtype = dtype;
    }
    agrees_with_the_cpu(&device(), &Arc::new(mixed), class, "mixed");
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

/// The embedding of a table of any numbers is what the rounding kernel is given.
#[test]
fn rounding_at_cuts_has_the_bits_of_the_wire() {
    let device = device();
    let graph = Arc::new(llama(Shape {
        vocabulary: 64,
        embedding: DType::F32,
        ..Shape::ODD
    }));
    let stage = range(0, 1);
    let class = NumericClass {
        wire: WireDtype::F16Scaled,
        chunk_columns: 64,
        context_columns: 64,
    };
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state
    };
    for spread in [1_u32, 3, 30, 255] {
        let mut number = |column: u32| {
            let exponent = (column * 4 + random() % spread) % 255;
            f32::from_bits(random() & 0x807f_ffff | exponent << 23)
        };
        let mut table: Vec<f32> = (0..64 * 35).map(|index| number(index / 35)).collect();
        table[..35].fill(0.0);
        table[35..40].copy_from_slice(&[f32::MAX, f32::MIN, -0.0, 65520.0, f32::MIN_POSITIVE]);
        table[70..105].fill(1.0);
        let mut executor = GpuExecutor::new(&device, setup(&graph, &[stage], class)).unwrap();
        let bytes: Vec<u8> = table
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        executor
            .put_rows(graph.units[0].weights[0], 0, &bytes)
            .unwrap();
        block_on(executor.finish_loading()).unwrap();
        let tokens: Vec<u32> = (0..64).collect();
        let found = run(&mut executor, prefill(stage, 0, 64), Input::Tokens(&tokens));
        wire::round_columns(WireDtype::F16Scaled, 35, &mut table);
        for (column, (found, expected)) in found.chunks(35).zip(table.chunks(35)).enumerate() {
            assert_eq!(
                bits(found),
                bits(expected),
                "spread {spread} column {column}"
            );
        }
    }
}

#[test]
fn requests_in_different_slots_do_not_see_each_other() {
    let device = device();
    let graph = Arc::new(llama(odd(DType::F32)));
    let whole = range(0, graph.units.len() as u32);
    let setup = Setup {
        slots: 2,
        ..setup(&graph, &[whole], CLASS)
    };
    let stages = [whole];
    let executor = GpuExecutor::new(&device, setup).unwrap();
    let mut executor = loaded(executor, &graph, &stages);
    let mut alone = [3, 5].map(|first| (first, gpu(&device, &graph, &stages, CLASS)));
    for turn in 0..3 {
        for (slot, (first, alone)) in (0..).zip(&mut alone) {
            let step = match turn {
                0 => prefill(whole, 0, *first),
                _ => decode(whole, *first + turn - 1, 1),
            };
            let tokens = synthetic::tokens(&graph, step.columns);
            let expected = run(alone, step, Input::Tokens(&tokens));
            let got = run(&mut executor, Step { slot, ..step }, Input::Tokens(&tokens));
            assert_eq!(got, expected, "slot {slot}, turn {turn}");
        }
    }
}

#[test]
fn rows_may_arrive_one_by_one_and_all_must_arrive() {
    let device = device();
    for dtype in DTYPES {
        let graph = Arc::new(llama(odd(dtype)));
        let mlp = range(2, 3);
        let mut at_once = gpu(&device, &graph, &[mlp], CLASS);
        let mut executor = GpuExecutor::new(&device, setup(&graph, &[mlp], CLASS)).unwrap();
        let mut rows = Rows::default();
        synthetic::load(&mut rows, &graph, &[mlp]).unwrap();
        rows.0.reverse();
        for (id, first_row, bytes) in &rows.0 {
            let row_bytes = bytes.len() / graph.weights[id.0 as usize].rows as usize;
            let pieces: Vec<_> = (*first_row..).zip(bytes.chunks(row_bytes)).collect();
            for (row, bytes) in pieces[1..].iter().rev() {
                executor.put_rows(*id, *row, bytes).unwrap();
            }
        }
        let incomplete = block_on(executor.finish_loading()).unwrap_err();
        assert_eq!(incomplete.code(), "engine.incomplete");
        for (id, first_row, bytes) in &rows.0 {
            let row_bytes = bytes.len() / graph.weights[id.0 as usize].rows as usize;
            executor
                .put_rows(*id, *first_row, &bytes[..row_bytes])
                .unwrap();
        }
        block_on(executor.finish_loading()).unwrap();
        let hidden = synthetic::hidden(&graph, 5);
        let step = prefill(mlp, 0, 5);
        let expected = run(&mut at_once, step, Input::Hidden(&hidden));
        assert_eq!(
            run(&mut executor, step, Input::Hidden(&hidden)),
            expected,
            "{dtype:?}"
        );
    }
}

/// Remembers what it is given.
#[derive(Default)]
struct Rows(Vec<(model::WeightId, u32, Vec<u8>)>);

impl Executor for Rows {
    fn kind(&self) -> model::EngineKind {
        model::EngineKind::Cpu
    }
    fn put_rows(
        &mut self,
        weight: model::WeightId,
        first_row: u32,
        bytes: &[u8],
    ) -> Result<(), EngineError> {
        self.0.push((weight, first_row, bytes.to_vec()));
        Ok(())
    }
    async fn finish_loading(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
    async fn run(&mut self, _: &Step, _: Input<'_>, _: &mut Vec<f32>) -> Result<(), EngineError> {
        Ok(())
    }
    fn truncate(&mut self, _: u32) {}
    fn resident_bytes(&self) -> u64 {
        0
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

/// Behind so many columns that attention has two blocks for some of them.
#[test]
fn verifying_several_columns_has_the_bits_of_one_by_one() {
    let variants = [DType::F32, DType::Q4_1].into_iter().flat_map(|dtype| {
        let wires = [WireDtype::F32, WireDtype::F16Scaled].into_iter();
        wires.flat_map(move |wire| KERNELS.map(|kernels| (dtype, wire, kernels)))
    });
    for (dtype, wire, kernels) in variants {
        let class = NumericClass {
            wire,
            chunk_columns: 36,
            context_columns: 264,
        };
        let device = device().with_linear_kernels(kernels);
        let graph = Arc::new(llama(odd(dtype)));
        let stage = whole(&graph);
        let mut executor = gpu(&device, &graph, &[stage], class);
        let mut reference = loaded(
            CpuExecutor::new(setup(&graph, &[stage], class)).unwrap(),
            &graph,
            &[stage],
        );
        let tokens = synthetic::tokens(&graph, 260);
        for (position, chunk) in (0..).step_by(36).zip(tokens[..252].chunks(36)) {
            let step = prefill(stage, position, 36);
            run(&mut executor, step, Input::Tokens(chunk));
            run(&mut reference, step, Input::Tokens(chunk));
        }
        let mut single = Vec::new();
        for position in 252..260 {
            let input = Input::Tokens(&tokens[position as usize..][..1]);
            let step = decode(stage, position, 1);
            let logits = run(&mut executor, step, input);
            let expected = run(&mut reference, step, input);
            if wire == WireDtype::F32 {
                assert_close(&logits, &expected, &format!("{dtype:?} at {position}"));
            }
            single.extend(logits);
        }
        for columns in 2..=8_u32 {
            let together = run(
                &mut executor,
                decode(stage, 252, columns),
                Input::Tokens(&tokens[252..252 + columns as usize]),
            );
            assert_eq!(
                bits(&together),
                bits(&single[..together.len()]),
                "{dtype:?} {wire:?} {kernels:?} {columns} columns"
            );
        }
    }
}

#[test]
fn fewer_wanted_columns_are_the_last_and_leave_the_same_cache() {
    let device = device();
    let graph = Arc::new(llama(odd(DType::Q8_0)));
    let (blocks, head) = (range(0, 5), range(5, 6));
    let mut executor = gpu(&device, &graph, &[blocks, head, whole(&graph)], CLASS);
    let tokens = synthetic::tokens(&graph, 20);
    for stage in [blocks, whole(&graph)] {
        let mut after = |want| {
            let step = Step {
                want,
                ..prefill(stage, 0, 7)
            };
            let out = run(&mut executor, step, Input::Tokens(&tokens[..7]));
            let next = run(
                &mut executor,
                decode(stage, 7, 2),
                Input::Tokens(&tokens[7..9]),
            );
            (out, bits(&next))
        };
        let (every, next) = after(Want::EveryColumn);
        let (last, after_last) = after(Want::LastColumn);
        assert_eq!(bits(&last), bits(&every[every.len() / 7 * 6..]));
        assert_eq!(after(Want::Nothing), (vec![], next.clone()));
        assert_eq!(after_last, next);
    }
    let hidden = synthetic::hidden(&graph, 3);
    let every = run(&mut executor, prefill(head, 16, 3), Input::Hidden(&hidden));
    let step = Step {
        want: Want::LastColumn,
        ..prefill(head, 16, 3)
    };
    let last = run(&mut executor, step, Input::Hidden(&hidden));
    assert_eq!(bits(&last), bits(&every[2 * 101..]));
}

#[test]
fn a_replay_has_the_bits_of_the_first_run() {
    let device = device();
    let graph = Arc::new(llama(odd(DType::Q4_0)));
    let stage = whole(&graph);
    let tokens = synthetic::tokens(&graph, 90);
    let mut executor = gpu(&device, &graph, &[stage], CLASS);
    let mut all = |cut_back: bool| {
        let mut seen = Vec::new();
        for position in (0..80).step_by(8) {
            let chunk = &tokens[position as usize..][..8];
            seen.extend(run(
                &mut executor,
                prefill(stage, position, 8),
                Input::Tokens(chunk),
            ));
        }
        for position in 80..90 {
            if cut_back {
                run(
                    &mut executor,
                    decode(stage, position, 3),
                    Input::Tokens(&[1, 2, 3]),
                );
                executor.truncate(position);
            }
            let token = &tokens[position as usize..][..1];
            seen.extend(run(
                &mut executor,
                decode(stage, position, 1),
                Input::Tokens(token),
            ));
        }
        bits(&seen)
    };
    let first = all(false);
    assert_eq!(all(false), first);
    assert_eq!(all(true), first);
}

#[test]
fn a_token_creates_no_object_on_the_device() {
    let device = own_device();
    let graph = Arc::new(llama(odd(DType::Q4_1)));
    let (blocks, head) = (range(0, 5), range(5, 6));
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
    assert_eq!(device.objects_created(), before);
    assert_eq!(executor.resident_bytes(), resident);
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
        let of_units = |end: u32, kernels: LinearKernels| {
            let (device, stage) = (device.clone().with_linear_kernels(kernels), range(0, end));
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
            |kernels| of_units(head, kernels) - of_units(head - units_per_layer, kernels);
        let [fused, op_by_op] = KERNELS.map(per_layer);
        println!("{name}: {fused} dispatches per layer, op by op {op_by_op}");
        assert!(fused <= most, "{name}: {fused} dispatches per layer");
        assert!(fused < op_by_op, "{name}: nothing was fused");
    }
}

#[test]
fn misuse_is_refused_as_on_the_cpu() {
    let device = device();
    let graph = Arc::new(llama(Shape::ODD));
    let stage = whole(&graph);
    let mut executor = gpu(&device, &graph, &[stage], CLASS);
    let mut code = |step: Step, tokens: &[u32]| {
        let mut out = Vec::new();
        block_on(executor.run(&step, Input::Tokens(tokens), &mut out))
            .unwrap_err()
            .code()
    };
    assert_eq!(code(decode(stage, 1, 1), &[1]), "engine.misuse");
    assert_eq!(code(decode(stage, 0, 1), &[101]), "engine.misuse");
    assert_eq!(code(decode(range(0, 1), 0, 1), &[1]), "engine.misuse");
    assert_eq!(code(decode(stage, 100, 1), &[1]), "engine.context_full");
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

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let error = found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(error <= BOUND, "{what}: largest error {error}");
}

/// The tests below, for each architecture.
macro_rules! architectures {
    ($($name:ident)*) => {
        $(mod $name {
            use super::*;

            #[test]
            fn matches_torch() {
                hidden_states_and_logits(&Tiny::open(stringify!($name)));
            }

            #[test]
            fn every_split_gives_the_same_bits() {
                every_split(&Tiny::open(stringify!($name)));
            }

            #[test]
            fn a_phone_tests_its_kernels_on_it() {
                tested_at_join(&Tiny::open(stringify!($name)));
            }
        })*
    };
}

architectures!(llama llama31 qwen2 qwen3 gemma3 phi3 gpt2 gptj bloom bloom6 opt opt350);

fn hidden_states_and_logits(tiny: &Tiny) {
    let (device, model, reference, prompt) =
        (device(), &tiny.model, &tiny.reference, tiny.prompt());
    let class = NumericClass {
        wire: WireDtype::F32,
        chunk_columns: 32,
        context_columns: 64,
    };
    for (cut, expected) in tiny.layers() {
        let stage = range(0, cut);
        let mut executor = model.load(
            GpuExecutor::new(&device, setup(&model.graph, &[stage], class)).unwrap(),
            &[stage],
        );
        let step = Step {
            want: Want::LastColumn,
            ..prefill(stage, 0, prompt.len() as u32)
        };
        let hidden = run(&mut executor, step, Input::Tokens(&prompt));
        assert_close(
            &hidden,
            &expected,
            &format!("hidden state after unit {cut}"),
        );
    }
    let stage = model.all_units();
    let mut executor = model.load(
        GpuExecutor::new(&device, setup(&model.graph, &[stage], class)).unwrap(),
        &[stage],
    );
    let logits = run(
        &mut executor,
        prefill(stage, 0, prompt.len() as u32),
        Input::Tokens(&prompt),
    );
    let columns: Vec<&[f32]> = logits.chunks(model.graph.vocabulary as usize).collect();
    let last = columns[columns.len() - 1];
    assert_close(last, &floats(&reference["logits_last"]), "last logits");
    let mut answer = vec![argmax(last)];
    for position in prompt.len() as u32..prompt.len() as u32 + 31 {
        let token = [answer[answer.len() - 1]];
        answer.push(argmax(&run(
            &mut executor,
            decode(stage, position, 1),
            Input::Tokens(&token),
        )));
    }
    assert_eq!(answer, ids(&reference["greedy32"]));
}

fn tested_at_join(tiny: &Tiny) {
    let device = device();
    let make = async |setup| GpuExecutor::new(&device, setup);
    let error = block_on(self_test::run(&tiny.model.graph, CLASS, make)).unwrap();
    assert!(error > 0.0, "the two executors are not one");
}

/// Every cut into two segments, and a segment for every unit.
fn every_split(tiny: &Tiny) {
    let (device, model, prompt) = (device(), &tiny.model, tiny.prompt());
    let end = model.all_units().end;
    let mut splits: Vec<Vec<u32>> = (1..end).map(|cut| vec![cut]).collect();
    splits.push((1..end).collect());
    for wire in [WireDtype::F32, WireDtype::F16Scaled] {
        let class = NumericClass {
            wire,
            chunk_columns: 16,
            context_columns: 64,
        };
        let logits = |cuts: &[u32]| {
            let starts = [0].into_iter().chain(cuts.iter().copied());
            let ends = cuts.iter().copied().chain([end]);
            let mut stages: Vec<_> = starts
                .zip(ends)
                .map(|(start, end)| {
                    let stage = range(start, end);
                    let executor =
                        GpuExecutor::new(&device, setup(&model.graph, &[stage], class)).unwrap();
                    (stage, model.load(executor, &[stage]))
                })
                .collect();
            let mut call = |tokens: &[u32], position: u32, phase: Phase| {
                let mut hidden = Vec::new();
                for (stage, executor) in &mut stages {
                    let columns = tokens.len() as u32;
                    let step = Step {
                        stage: *stage,
                        slot: 0,
                        position,
                        columns,
                        phase,
                        want: Want::EveryColumn,
                    };
                    let input = if stage.start == 0 {
                        Input::Tokens(tokens)
                    } else {
                        Input::Hidden(&hidden)
                    };
                    hidden = run(executor, step, input);
                }
                hidden
            };
            let mut seen = Vec::new();
            for (index, chunk) in prompt.chunks(16).enumerate() {
                seen.extend(call(chunk, 16 * index as u32, Phase::Prefill));
            }
            for column in 0..3 {
                seen.extend(call(
                    &[5 + column],
                    prompt.len() as u32 + column,
                    Phase::Decode,
                ));
            }
            bits(&seen)
        };
        let whole = logits(&[]);
        for cuts in &splits {
            assert_eq!(logits(cuts), whole, "{wire:?} cuts at {cuts:?}");
        }
    }
}
