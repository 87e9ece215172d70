//! Profiles of this phone's executors; the GPU proves itself against the CPU first.

use std::collections::BTreeMap;

use engine::{
    CpuExecutor,
    gpu::{GpuDevice, GpuExecutor},
    profile, self_test,
};
use model::{EngineKind, Graph, NumericClass};
use plan::EngineProfile;
use session::Fault;

use crate::{clock::now_ms, error::of_engine};

/// The CPU's.
pub async fn cpu(graph: &Graph, class: NumericClass) -> Result<EngineProfile, Fault> {
    let numbers =
        profile::measure(graph, class, async |setup| CpuExecutor::new(setup), now_ms).await;
    Ok(named(
        EngineKind::Cpu,
        "wasm simd128".to_owned(),
        numbers.map_err(|error| of_engine(&error))?,
    ))
}

/// The GPU's, and the device with the kernels that passed; other kernels that did not are told.
pub async fn gpu(
    graph: &Graph,
    class: NumericClass,
    device: &GpuDevice,
    refused: impl Fn(Fault),
) -> Result<(EngineProfile, GpuDevice), Fault> {
    let with = |kernels| device.clone().with_linear_kernels(kernels);
    let variants = device.variants();
    let make = async |kernels, setup| GpuExecutor::new(&with(kernels), setup);
    let passed = self_test::first_right(graph, class, &variants, make).await;
    let passed = passed.map_err(|error| of_engine(&error))?;
    for (_, error) in &passed.refused {
        refused(of_engine(error));
    }
    let device = with(passed.variant);
    let numbers = profile::measure(
        graph,
        class,
        async |setup| GpuExecutor::new(&device, setup),
        now_ms,
    );
    let numbers = numbers.await.map_err(|error| of_engine(&error))?;
    let variant = format!("{}, {}", device.adapter_name(), passed.variant);
    Ok((named(EngineKind::Gpu, variant, numbers), device))
}

fn named(
    engine: EngineKind,
    variant: String,
    numbers: profile::EngineProfileNumbers,
) -> EngineProfile {
    EngineProfile {
        engine,
        variant,
        decode_ms_per_unit: numbers.decode_ms_per_unit,
        verify_ms_per_unit: BTreeMap::new(),
        chunk_ms_per_unit: numbers.chunk_ms_per_unit,
        attention_ms_per_cached_column: 0.0,
        ms_per_call: numbers.ms_per_call,
    }
}
