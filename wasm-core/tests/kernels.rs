//! In a worker of this browser: the GPU's kernels against the CPU's.
#![cfg(target_arch = "wasm32")]
// Helpers of tests say what they expect by panicking, too.
#![allow(clippy::unwrap_used, clippy::panic)]

use engine::{
    gpu::{Arithmetic, GpuDevice, GpuExecutor, LinearKernels, Variant},
    self_test,
};
use model::{DType, Graph, NumericClass, WireDtype, arch, gguf};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

const MODEL: &[u8] = include_bytes!("../../tests/fixtures/tiny-llama/model-f32.gguf");

/// The tiny model's graph with matrices of another type; the self-test makes its own weights.
fn graph_of(dtype: DType) -> Graph {
    let gguf::Progress::Done(header) = gguf::parse(MODEL, Some(MODEL.len() as u64)).unwrap() else {
        panic!("the whole file is here");
    };
    let mut graph = arch::build(&header).unwrap();
    for weight in graph.weights.iter_mut().filter(|weight| weight.rows > 1) {
        weight.dtype = dtype;
    }
    graph
}

/// Every storage type is tested natively; here it is the browser's compiler that may see things otherwise.
async fn compare(device: &GpuDevice, variant: Variant, dtypes: &[DType]) {
    let device = device.clone().with_variant(variant);
    for dtype in dtypes.iter().copied() {
        let class = NumericClass {
            wire: WireDtype::F16Scaled,
            chunk_columns: NumericClass::DEFAULT_CHUNK_COLUMNS,
            context_columns: 96,
        };
        let make = async |setup| GpuExecutor::new(&device, setup);
        let tested = self_test::run(&graph_of(dtype), class, make).await;
        assert!(tested.is_ok(), "{variant}, {dtype:?}: {tested:?}");
    }
}

async fn compare_plain(linear: LinearKernels) {
    let dtypes = [DType::F32, DType::Q8_0, DType::Q4_1];
    compare(&device().await, Variant::plain(linear), &dtypes).await;
}

async fn device() -> GpuDevice {
    GpuDevice::request("kernel test").await.unwrap()
}

#[wasm_bindgen_test]
async fn the_kernels_of_hardware_compute_what_the_cpu_does() {
    compare_plain(LinearKernels::Parallel).await;
}

#[wasm_bindgen_test]
async fn the_kernels_of_software_adapters_do_too() {
    compare_plain(LinearKernels::Serial).await;
}

#[wasm_bindgen_test]
async fn every_other_arithmetic_of_this_browser_does_too() {
    let device = device().await;
    let offered = device.offers().variants().into_iter();
    let others: Vec<_> = offered
        .filter(|variant| variant.arithmetic != Arithmetic::Float)
        .collect();
    assert!(!others.is_empty(), "not even integers");
    for variant in others {
        compare(&device, variant, &[DType::Q8_0, DType::Q4_1]).await;
    }
}
