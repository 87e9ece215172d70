//! The GPU as this build uses it: our own kernels, or in the build with the feature `burn` Burn's.

#[cfg(not(feature = "burn"))]
mod fused;
#[cfg(feature = "burn")]
mod generic;

#[cfg(not(feature = "burn"))]
pub use fused::{Gpu, GpuExecutor};
#[cfg(feature = "burn")]
pub use generic::{Gpu, GpuExecutor};
