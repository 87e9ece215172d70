//! How many kernels one more layer adds to a decode call.

use std::sync::Arc;

use engine::{
    EngineError, Executor, Input, Phase, Setup, Step, Want,
    gpu::{GpuDevice, GpuExecutor, LinearKernels, Variant},
    miniature::miniature,
    synthetic,
};
use model::{Graph, NumericClass, UnitRange, WireDtype};

/// With the kernels for hardware, and with those for software adapters: of two layers of the model's shape, less those of one.
///
/// # Errors
/// Whatever the executor says.
pub async fn per_layer(graph: &Graph, device: &GpuDevice) -> Result<[u64; 2], EngineError> {
    let mut counts = [0; 2];
    let kernels = [LinearKernels::Parallel, LinearKernels::Serial];
    for (count, linear) in counts.iter_mut().zip(kernels) {
        let device = device.clone().with_variant(Variant::plain(linear));
        *count = of_layers(graph, 2, &device).await? - of_layers(graph, 1, &device).await?;
    }
    Ok(counts)
}

async fn of_layers(graph: &Graph, layers: u32, device: &GpuDevice) -> Result<u64, EngineError> {
    let graph = Arc::new(miniature(graph, layers)?);
    let stage = UnitRange {
        start: 0,
        end: graph.units.len() as u32,
    };
    let setup = Setup {
        graph: Arc::clone(&graph),
        stages: vec![stage],
        class: NumericClass {
            wire: WireDtype::F16Scaled,
            chunk_columns: NumericClass::DEFAULT_CHUNK_COLUMNS,
            context_columns: NumericClass::DEFAULT_CHUNK_COLUMNS,
        },
        slots: 1,
    };
    let mut executor = GpuExecutor::new(device, setup)?;
    synthetic::load(&mut executor, &graph, &[stage])?;
    executor.finish_loading().await?;
    let step = Step {
        stage,
        slot: 0,
        position: 0,
        columns: 1,
        phase: Phase::Decode,
        want: Want::LastColumn,
    };
    let mut logits = Vec::new();
    executor
        .run(&step, Input::Tokens(&[0]), &mut logits)
        .await?;
    Ok(executor.dispatches())
}
