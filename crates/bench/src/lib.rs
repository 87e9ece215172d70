//! How fast an executor is on this machine: one matrix kernel at a time, and a whole model with made-up weights.
//!
//! Speed does not depend on what the weights are, so only a model file's header is needed.

mod dispatches;
#[cfg(target_arch = "wasm32")]
mod javascript;
mod kernels;
mod table;
mod tokens;

use engine::{
    CpuExecutor, EngineError, Setup,
    gpu::{GpuDevice, GpuExecutor, bandwidth},
};
use model::{Graph, ModelError, arch, gguf};
use serde::{Deserialize, Serialize};

pub use kernels::KernelSpeed;
use kernels::Least;
pub use tokens::TokenSpeed;

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// What measured: processor or adapter.
    pub executor: String,
    /// How fast a GPU moves memory.
    pub bandwidth: Option<Bandwidth>,
    /// Matrix products of the model, by shape and columns.
    pub kernels: Vec<KernelSpeed>,
    /// The model as a whole.
    pub tokens: TokenSpeed,
    /// Each variant of a GPU's kernels; empty where nobody asked.
    pub variants: Vec<VariantSpeed>,
}

/// What was measured of one variant of a GPU's kernels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VariantSpeed {
    /// Its name.
    pub name: String,
    /// Of the matrix in every storage type, where one was asked for.
    pub kernels: Vec<KernelSpeed>,
    /// The model as a whole.
    pub tokens: TokenSpeed,
}

/// What is measured of a GPU besides the model's matrices and the model as a whole.
#[derive(Debug, Clone, Copy, Default)]
pub struct More {
    /// One of so many rows and columns in every storage type.
    pub matrix: Option<(u32, u32)>,
    /// That matrix, and the model, with every variant of the kernels that the adapter may run.
    pub variants: bool,
}

/// 10^9 bytes per second.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bandwidth {
    /// `copyBufferToBuffer`, counting what is read and what is written.
    pub copy_gigabytes_per_s: f64,
    /// A kernel that reads vec4s and adds them up.
    pub read_gigabytes_per_s: f64,
}

/// Beyond a processor's caches.
const ON_CPU: Least = Least {
    bytes: 32 << 20,
    products: 1,
};
/// Beyond a GPU's, and longer than it takes to submit.
const ON_GPU: Least = Least {
    bytes: 256 << 20,
    products: 64,
};

/// Measures the CPU executor. `now_ms` counts up: CPU time where others use the machine too.
///
/// # Errors
/// Whatever the executor says.
pub async fn measure_cpu(graph: &Graph, now_ms: impl Fn() -> f64) -> Result<Report, EngineError> {
    let make = async |setup: Setup| CpuExecutor::new(setup);
    Ok(Report {
        executor: "CPU, one thread".to_owned(),
        bandwidth: None,
        kernels: kernels::measure(kernels::of_model(graph), ON_CPU, &make, &now_ms).await?,
        tokens: tokens::measure(graph, &make, &now_ms).await?.0,
        variants: Vec::new(),
    })
}

/// Measures the GPU executor. `now_ms` counts up.
///
/// # Errors
/// No adapter; whatever the executor says.
pub async fn measure_gpu(
    graph: &Graph,
    more: More,
    now_ms: impl Fn() -> f64,
) -> Result<Report, EngineError> {
    let device = GpuDevice::request("bench").await?;
    let moved = bandwidth::measure(&device, &now_ms).await?;
    let make = async |setup: Setup| GpuExecutor::new(&device, setup);
    let matrix = more.matrix.into_iter().flat_map(kernels::of_every_type);
    let shapes = kernels::of_model(graph).chain(matrix);
    let kernels = kernels::measure(shapes, ON_GPU, &make, &now_ms).await?;
    let (mut tokens, mut executor) = tokens::measure(graph, &make, &now_ms).await?;
    let before = (executor.dispatches(), device.objects_created());
    tokens::one_more(graph, &mut executor).await?;
    tokens.dispatches_per_token = Some(executor.dispatches() - before.0);
    tokens.objects_per_token = Some(device.objects_created() - before.1);
    tokens.dispatches_per_layer = Some(dispatches::per_layer(graph, &device).await?);
    let mut variants = Vec::new();
    let offered = device.offers().variants().into_iter();
    for variant in offered.filter(|_| more.variants) {
        let device = device.clone().with_variant(variant);
        let make = async |setup: Setup| GpuExecutor::new(&device, setup);
        let matrix = more.matrix.into_iter().flat_map(kernels::of_every_type);
        variants.push(VariantSpeed {
            name: variant.to_string(),
            kernels: kernels::measure(matrix, ON_GPU, &make, &now_ms).await?,
            tokens: tokens::measure(graph, &make, &now_ms).await?.0,
        });
    }
    Ok(Report {
        executor: format!("{}, {}", device.adapter_name(), device.variant()),
        bandwidth: Some(Bandwidth {
            copy_gigabytes_per_s: moved.copy_gigabytes_per_s,
            read_gigabytes_per_s: moved.read_gigabytes_per_s,
        }),
        kernels,
        tokens,
        variants,
    })
}

/// The model of a file, from a prefix of it that holds the whole header.
///
/// # Errors
/// No header of a model that can run.
pub fn graph(header: &[u8]) -> Result<Graph, ModelError> {
    match gguf::parse(header, None)? {
        gguf::Progress::Done(header) => arch::build(&header),
        gguf::Progress::NeedMore { .. } => Err(ModelError::NotGguf),
    }
}
