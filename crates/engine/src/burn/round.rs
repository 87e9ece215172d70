//! Rounding at cuts: the one kernel of our own here. Burn has no op for it, and the wire's bits leave no choice.

use burn_backend::{FloatDType, TensorMetadata, ops::FloatTensorOps};
use burn_wgpu::{CubeDim, KernelSource, SourceKernel, SourceTemplate, Wgpu, into_contiguous};
use cubecl::{CubeCount, prelude::KernelId, server::KernelArguments};

use super::tensor::Tensor;

/// Lanes of a workgroup, as in the text.
const LANES: u32 = 64;

/// The kernel for columns of one width.
struct Round {
    width: usize,
}

impl KernelSource for Round {
    fn source(&self) -> SourceTemplate {
        let text = concat!(
            include_str!("../gpu/wgsl/rounding.wgsl"),
            include_str!("round.wgsl")
        );
        SourceTemplate::new(text).register("width", self.width.to_string())
    }

    fn id(&self) -> KernelId {
        KernelId::new::<Self>().info(self.width)
    }

    fn lang(&self) -> &'static str {
        "wgsl"
    }
}

/// Columns x width as halves times a power of two per column.
pub fn to_scaled_halves(x: Tensor) -> Tensor {
    let x = into_contiguous(x);
    let [columns, width] = x.shape().dims();
    let out = Wgpu::float_empty(x.shape(), &x.device(), FloatDType::F32);
    let kernel = SourceKernel::new(Round { width }, CubeDim::new_1d(LANES));
    let buffers = vec![x.handle.binding(), out.handle.clone().binding()];
    x.client.launch(
        Box::new(kernel),
        CubeCount::Static(columns as u32, 1, 1),
        KernelArguments::new().with_buffers(buffers),
    );
    out
}
