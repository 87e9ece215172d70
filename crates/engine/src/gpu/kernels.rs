//! The kernels: their WGSL texts, what they bind, and their pipelines.

use std::collections::HashMap;

use model::{Activation, DType};

use super::device::GpuDevice;

/// One of the texts in `wgsl/`; those that read a weight exist for every storage type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// Row of a weight per token.
    Embed(DType),
    /// Row of a weight per position.
    Positions(DType),
    /// Normalised columns.
    RmsNorm(DType),
    /// Normalised heads.
    HeadNorm(DType),
    /// Columns normalised around their mean.
    LayerNorm(DType),
    /// A row added to every column.
    AddRow(DType),
    /// Matrix product, at most so many columns: 1 or 8.
    LinearDecode(DType, u32),
    /// Matrix product, a chunk of columns.
    LinearPrefill(DType),
    /// The same on a software adapter.
    LinearRows(DType, u32),
    /// Rotary embedding.
    Rope,
    /// Keys and values into the cache.
    Append,
    /// Attention over the cache.
    Attention,
    /// Activation.
    Activate(Activation),
    /// Activation that gates.
    Gate(Activation),
    /// Product with a number.
    Scale,
    /// Residual add.
    Add,
    /// Rounding at a cut.
    Round,
}

/// How a kernel uses a storage buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Access {
    Read,
    Write,
}

use Access::{Read, Write};

impl Kernel {
    /// Storage buffers from binding 1 on; binding 0 is the kernel's constants.
    const fn bindings(self) -> &'static [Access] {
        match self {
            Self::Embed(_) | Self::RmsNorm(_) | Self::HeadNorm(_) | Self::LayerNorm(_) => {
                &[Read, Read, Write]
            }
            Self::Positions(_) | Self::AddRow(_) | Self::Activate(_) | Self::Scale => {
                &[Read, Write]
            }
            Self::LinearDecode(..) | Self::LinearPrefill(_) | Self::LinearRows(..) => {
                &[Read, Read, Write]
            }
            Self::Rope | Self::Gate(_) | Self::Add => &[Read, Read, Write],
            Self::Append => &[Read, Read, Write, Write],
            Self::Attention => &[Read, Read, Read, Write],
            Self::Round => &[Write],
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Embed(_) => include_str!("wgsl/embed.wgsl"),
            Self::Positions(_) => include_str!("wgsl/positions.wgsl"),
            Self::RmsNorm(_) => include_str!("wgsl/rms_norm.wgsl"),
            Self::HeadNorm(_) => include_str!("wgsl/head_norm.wgsl"),
            Self::LayerNorm(_) => include_str!("wgsl/layer_norm.wgsl"),
            Self::AddRow(_) => include_str!("wgsl/add_row.wgsl"),
            Self::LinearDecode(..) => include_str!("wgsl/linear_decode.wgsl"),
            Self::LinearPrefill(_) => include_str!("wgsl/linear_prefill.wgsl"),
            Self::LinearRows(..) => include_str!("wgsl/linear_rows.wgsl"),
            Self::Rope => include_str!("wgsl/rope.wgsl"),
            Self::Append => include_str!("wgsl/append.wgsl"),
            Self::Attention => include_str!("wgsl/attention.wgsl"),
            Self::Activate(_) => include_str!("wgsl/activate.wgsl"),
            Self::Gate(_) => include_str!("wgsl/gate.wgsl"),
            Self::Scale => include_str!("wgsl/scale.wgsl"),
            Self::Add => include_str!("wgsl/add.wgsl"),
            Self::Round => include_str!("wgsl/round.wgsl"),
        }
    }

    const fn weight_dtype(self) -> Option<DType> {
        match self {
            Self::Embed(dtype)
            | Self::Positions(dtype)
            | Self::RmsNorm(dtype)
            | Self::HeadNorm(dtype)
            | Self::LayerNorm(dtype)
            | Self::AddRow(dtype)
            | Self::LinearDecode(dtype, _)
            | Self::LinearPrefill(dtype)
            | Self::LinearRows(dtype, _) => Some(dtype),
            _ => None,
        }
    }

    /// The whole module.
    fn source(self) -> String {
        let mut parts = vec![include_str!("wgsl/call.wgsl")];
        match self {
            Self::LinearDecode(_, 1) | Self::LinearRows(_, 1) => {
                parts.push("const COLUMNS = 1u;\n")
            }
            Self::LinearDecode(..) | Self::LinearRows(..) => parts.push("const COLUMNS = 8u;\n"),
            Self::Activate(function) | Self::Gate(function) => {
                parts.push(activation_text(function))
            }
            _ => {}
        }
        if let Some(dtype) = self.weight_dtype() {
            parts.extend([include_str!("wgsl/matrix.wgsl"), weight_text(dtype)]);
        }
        parts.push(self.text());
        parts.concat()
    }
}

const fn activation_text(function: Activation) -> &'static str {
    match function {
        Activation::Silu => include_str!("wgsl/silu.wgsl"),
        Activation::Gelu => include_str!("wgsl/gelu.wgsl"),
        Activation::Relu => include_str!("wgsl/relu.wgsl"),
    }
}

const fn weight_text(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => include_str!("wgsl/f32.wgsl"),
        DType::F16 => include_str!("wgsl/f16.wgsl"),
        DType::Q8_0 => include_str!("wgsl/q8_0.wgsl"),
        DType::Q4_0 => include_str!("wgsl/q4_0.wgsl"),
        DType::Q4_1 => include_str!("wgsl/q4_1.wgsl"),
        DType::BF16 => include_str!("wgsl/bf16.wgsl"),
        DType::Q5_0 => concat!(
            include_str!("wgsl/fifth_bits.wgsl"),
            include_str!("wgsl/q5_0.wgsl")
        ),
        DType::Q5_1 => concat!(
            include_str!("wgsl/fifth_bits.wgsl"),
            include_str!("wgsl/q5_1.wgsl")
        ),
        DType::Q4_K => concat!(
            include_str!("wgsl/nibbles.wgsl"),
            include_str!("wgsl/q4_k.wgsl")
        ),
        DType::Q5_K => concat!(
            include_str!("wgsl/fifth_bits.wgsl"),
            include_str!("wgsl/q4_k.wgsl")
        ),
        DType::Q6_K => concat!(
            include_str!("wgsl/six_bits.wgsl"),
            include_str!("wgsl/q6_k.wgsl")
        ),
    }
}

/// Pipelines and layouts, each built when it is first asked for.
pub struct Kernels {
    device: GpuDevice,
    call_layout: wgpu::BindGroupLayout,
    layouts: HashMap<&'static [Access], wgpu::BindGroupLayout>,
    pipelines: HashMap<Kernel, wgpu::ComputePipeline>,
}

impl Kernels {
    /// None built yet.
    pub fn new(device: &GpuDevice) -> Self {
        let call_layout = device.bind_group_layout(&[entry(0, wgpu::BufferBindingType::Uniform)]);
        Self {
            device: device.clone(),
            call_layout,
            layouts: HashMap::new(),
            pipelines: HashMap::new(),
        }
    }

    /// Of group 0: what changes from call to call.
    pub fn call_layout(&self) -> &wgpu::BindGroupLayout {
        &self.call_layout
    }

    /// Of group 1: constants, then the kernel's buffers.
    pub fn layout(&mut self, kernel: Kernel) -> wgpu::BindGroupLayout {
        let device = &self.device;
        let layout = self
            .layouts
            .entry(kernel.bindings())
            .or_insert_with_key(|bindings| layout(device, bindings));
        layout.clone()
    }

    /// Compiled.
    pub fn pipeline(&mut self, kernel: Kernel) -> wgpu::ComputePipeline {
        let layout = self.layout(kernel);
        let (device, call_layout) = (&self.device, &self.call_layout);
        let build = || {
            device.pipeline(
                &format!("{kernel:?}"),
                kernel.source(),
                &[call_layout, &layout],
            )
        };
        self.pipelines.entry(kernel).or_insert_with(build).clone()
    }
}

fn layout(device: &GpuDevice, bindings: &[Access]) -> wgpu::BindGroupLayout {
    let storage = bindings.iter().map(|access| {
        let read_only = *access == Read;
        wgpu::BufferBindingType::Storage { read_only }
    });
    let types = [wgpu::BufferBindingType::Uniform]
        .into_iter()
        .chain(storage);
    let entries: Vec<_> = (0..)
        .zip(types)
        .map(|(binding, ty)| entry(binding, ty))
        .collect();
    device.bind_group_layout(&entries)
}

const fn entry(binding: u32, ty: wgpu::BufferBindingType) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty,
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    }
}
