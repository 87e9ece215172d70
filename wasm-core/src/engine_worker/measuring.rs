//! Profiles of this phone's executors; the GPU proves itself against the CPU first.

use engine::{CpuExecutor, profile};
use futures::{StreamExt, channel::mpsc};
use model::{EngineKind, Graph, NumericClass};
use plan::EngineProfile;
use session::Fault;
use web_sys::MessagePort;

use super::{gpu::Gpu, post, remembered::Remembered};
use crate::{
    clock::{now_ms, sleep},
    error::of_engine,
    messages::FromEngine,
};

/// About as long as a phone waits while others compute a token, ms.
const REST_MS: f64 = 30.0;

/// Round trips to the session worker whose median counts.
const ECHOES: usize = 5;

/// What passing a job from the session worker and its result back takes after a rest, ms.
pub async fn handover_ms(port: &MessagePort, echoes: &mut mpsc::UnboundedReceiver<()>) -> f64 {
    let mut trips_ms = [0.0; ECHOES];
    for trip_ms in &mut trips_ms {
        rest().await;
        let sent_ms = now_ms();
        post(port, &FromEngine::Echo);
        let _ = echoes.next().await;
        *trip_ms = now_ms() - sent_ms;
    }
    trips_ms.sort_by(f64::total_cmp);
    trips_ms[ECHOES / 2]
}

async fn rest() {
    sleep(REST_MS).await;
}

/// The CPU's.
pub async fn cpu(graph: &Graph, class: NumericClass) -> Result<EngineProfile, Fault> {
    let make = async |setup| CpuExecutor::new(setup);
    let numbers = profile::measure(graph, class, make, now_ms, rest).await;
    Ok(named(
        EngineKind::Cpu,
        "wasm simd128".to_owned(),
        numbers.map_err(|error| of_engine(&error))?,
    ))
}

/// The GPU's, with the kernels that passed; other kernels that did not are told.
pub async fn gpu(
    graph: &Graph,
    model_id: &str,
    class: NumericClass,
    gpu: &mut Gpu,
    refused: impl Fn(Fault),
) -> Result<EngineProfile, Fault> {
    let refused = |error: &_| refused(of_engine(error));
    let remembered = Remembered::open(&gpu.adapter_name(), model_id).await;
    let known = remembered.read().await;
    let tested = gpu.test(graph, class, known.as_deref(), refused).await;
    let kernels = tested.map_err(|error| of_engine(&error))?;
    if known.as_ref() != Some(&kernels) {
        remembered.write(&kernels).await;
    }
    let variant = format!("{}, {kernels}", gpu.adapter_name());
    let make = async |setup| gpu.executor(setup);
    let numbers = profile::measure(graph, class, make, now_ms, rest).await;
    let numbers = numbers.map_err(|error| of_engine(&error))?;
    Ok(named(EngineKind::Gpu, variant, numbers))
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
        verify_ms_per_unit: numbers.verify_ms_per_unit,
        chunk_ms_per_unit: numbers.chunk_ms_per_unit,
        attention_ms_per_cached_column: numbers.attention_ms_per_cached_column,
        ms_per_call: numbers.ms_per_call,
    }
}
