//! The kernels: their WGSL texts, what they bind, and their pipelines.

use std::collections::HashMap;

use model::{Activation, DType};

use super::{
    device::GpuDevice,
    product::Product,
    variant::{Arithmetic, Numbers},
};

/// One of the texts in `wgsl/`; those that read a matrix exist for every storage type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// Row of a weight per token.
    Embed(DType),
    /// Row of a weight per position.
    Positions(DType),
    /// Normalised columns.
    RmsNorm,
    /// Normalised heads.
    HeadNorm,
    /// Columns normalised around their mean.
    LayerNorm,
    /// A row added to every column.
    AddRow,
    /// Matrix products of at most eight columns.
    Product(Product),
    /// Columns, or their norm, as products of such numbers read them.
    Prepare(Numbers),
    /// Matrix product, a chunk of columns, so many invocations to a row.
    LinearPrefill(DType, Arithmetic, u32),
    /// Matrix product on a software adapter, at most so many columns: 1 or 8.
    LinearRows(DType, Arithmetic, u32),
    /// Rotary embedding.
    Rope,
    /// Keys and values into the cache.
    Append,
    /// Both, of heads normalised where they are to be.
    Heads,
    /// Attention over the cache.
    Attention,
    /// Attention over each block of the cache.
    AttentionBlocks,
    /// What the blocks found, merged.
    Merge,
    /// Activation.
    Activate(Activation),
    /// Activation that gates.
    Gate(Activation),
    /// Product with a number.
    Scale,
    /// Residual add.
    Add,
    /// Residual add of normalised columns.
    NormAdd,
    /// Rounding at a cut.
    Round,
}

/// How a kernel uses a storage buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Only read.
    Read,
    /// Written, maybe read too.
    Write,
}

use Access::{Read, Write};

impl Kernel {
    /// Storage buffers from binding 1 on; binding 0 is the kernel's constants.
    fn bindings(self) -> Vec<Access> {
        match self {
            Self::Product(product) => product.bindings().map(|(access, _)| access).collect(),
            Self::Round => vec![Write],
            Self::Positions(_) | Self::AddRow | Self::Activate(_) | Self::Scale | Self::Merge => {
                vec![Read, Write]
            }
            Self::Embed(_)
            | Self::RmsNorm
            | Self::HeadNorm
            | Self::LayerNorm
            | Self::LinearPrefill(..)
            | Self::LinearRows(..)
            | Self::Rope
            | Self::Gate(_)
            | Self::Add => vec![Read, Read, Write],
            Self::Attention | Self::AttentionBlocks | Self::NormAdd | Self::Prepare(_) => {
                vec![Read, Read, Read, Write]
            }
            Self::Append => vec![Read, Read, Write, Write],
            Self::Heads => vec![Write, Read, Read, Write, Write],
        }
    }

    /// Whether lanes of a workgroup add up what they have.
    const fn adds_up(self) -> bool {
        matches!(
            self,
            Self::Product(_)
                | Self::Prepare(_)
                | Self::RmsNorm
                | Self::HeadNorm
                | Self::LayerNorm
                | Self::Heads
                | Self::Attention
                | Self::AttentionBlocks
                | Self::NormAdd
        )
    }

    /// The whole module; subgroups have at least so many lanes, 0 where there are none.
    fn source(self, subgroup_lanes: u32) -> String {
        let rounding = include_str!("wgsl/rounding.wgsl");
        let shape = include_str!("wgsl/attention_shape.wgsl");
        let attention = [
            include_str!("wgsl/added_up.wgsl"),
            include_str!("wgsl/largest_of.wgsl"),
            include_str!("wgsl/attention.wgsl"),
        ]
        .concat();
        let runs = match subgroup_lanes {
            0 => include_str!("wgsl/runs.wgsl"),
            _ => include_str!("wgsl/runs_subgroups.wgsl"),
        };
        let of_matrix = |arithmetic, dtype, text: &str| {
            let matrix = include_str!("wgsl/matrix.wgsl");
            let bindings = include_str!("wgsl/one_matrix.wgsl");
            let rows = rows_text(arithmetic);
            [matrix, rows, bindings, weight_text(dtype), text].concat()
        };
        let of_columns = |arithmetic, dtype, text: &str| {
            let columns = match arithmetic {
                Arithmetic::Float => include_str!("wgsl/columns_float.wgsl"),
                Arithmetic::Prepared(_) => concat!(
                    include_str!("wgsl/prepared.wgsl"),
                    include_str!("wgsl/prepared8.wgsl"),
                    include_str!("wgsl/columns_prepared.wgsl")
                ),
            };
            of_matrix(arithmetic, dtype, &[columns, text].concat())
        };
        let of_row = |dtype, text: &str| {
            let one_row = include_str!("wgsl/one_row.wgsl");
            of_matrix(Arithmetic::Float, dtype, &[one_row, text].concat())
        };
        let added_up = include_str!("wgsl/added_up.wgsl");
        let rotation = include_str!("wgsl/rotation.wgsl");
        let of_sums = |text| [runs, added_up, text].concat();
        let activated = |function, text| [activation_text(function), text].concat();
        let text = match self {
            Self::Product(product) => product.source(subgroup_lanes > 0),
            Self::Embed(dtype) => of_row(dtype, include_str!("wgsl/embed.wgsl")),
            Self::Positions(dtype) => of_row(dtype, include_str!("wgsl/positions.wgsl")),
            Self::Prepare(numbers) => {
                let prepared = match numbers {
                    Numbers::Halves => include_str!("wgsl/prepare_halves.wgsl"),
                    Numbers::Integers => include_str!("wgsl/prepare_integers.wgsl"),
                };
                let layout = include_str!("wgsl/prepared.wgsl");
                let prepare = include_str!("wgsl/prepare.wgsl");
                of_sums(&[rounding, layout, prepared, prepare].concat())
            }
            Self::LinearPrefill(dtype, arithmetic, slices) => {
                let text = include_str!("wgsl/linear_prefill.wgsl");
                format!("const SLICES = {slices}u;\n") + &of_columns(arithmetic, dtype, text)
            }
            Self::LinearRows(dtype, arithmetic, columns) => {
                let text = each_column(include_str!("wgsl/linear_rows.wgsl"), columns);
                format!("const COLUMNS = {columns}u;\n") + &of_columns(arithmetic, dtype, &text)
            }
            Self::Attention => [runs, "const BLOCKS = false;\n", shape, &attention].concat(),
            Self::AttentionBlocks => [runs, "const BLOCKS = true;\n", shape, &attention].concat(),
            Self::Merge => [shape, include_str!("wgsl/merge.wgsl")].concat(),
            Self::Round => [rounding, include_str!("wgsl/round.wgsl")].concat(),
            Self::NormAdd => of_sums(&[rounding, include_str!("wgsl/norm_add.wgsl")].concat()),
            Self::Activate(function) => activated(function, include_str!("wgsl/activate.wgsl")),
            Self::Gate(function) => activated(function, include_str!("wgsl/gate.wgsl")),
            Self::RmsNorm => of_sums(include_str!("wgsl/rms_norm.wgsl")),
            Self::HeadNorm => of_sums(include_str!("wgsl/head_norm.wgsl")),
            Self::LayerNorm => of_sums(include_str!("wgsl/layer_norm.wgsl")),
            Self::AddRow => include_str!("wgsl/add_row.wgsl").to_owned(),
            Self::Rope => [rotation, include_str!("wgsl/rope.wgsl")].concat(),
            Self::Append => include_str!("wgsl/append.wgsl").to_owned(),
            Self::Heads => of_sums(&[rotation, include_str!("wgsl/heads.wgsl")].concat()),
            Self::Scale => include_str!("wgsl/scale.wgsl").to_owned(),
            Self::Add => include_str!("wgsl/add.wgsl").to_owned(),
        };
        let lanes = format!("const SUBGROUP_LANES = {subgroup_lanes}u;\n");
        let call = include_str!("wgsl/call.wgsl");
        [self.enables(subgroup_lanes), &lanes, call, &text].concat()
    }

    /// What a module says before anything else: the features it uses. naga knows subgroups without being told, and refuses to be.
    const fn enables(self, subgroup_lanes: u32) -> &'static str {
        let arithmetic = match self {
            Self::Product(Product { arithmetic, .. })
            | Self::LinearPrefill(_, arithmetic, _)
            | Self::LinearRows(_, arithmetic, _) => arithmetic,
            _ => Arithmetic::Float,
        };
        let halves = matches!(arithmetic, Arithmetic::Prepared(Numbers::Halves));
        match (halves, subgroup_lanes > 0 && cfg!(target_arch = "wasm32")) {
            (false, false) => "",
            (true, false) => "enable f16;\n",
            (false, true) => "enable subgroups;\n",
            (true, true) => "enable f16, subgroups;\n",
        }
    }
}

/// How rows of weights meet columns.
pub(super) const fn rows_text(arithmetic: Arithmetic) -> &'static str {
    match arithmetic {
        Arithmetic::Float => include_str!("wgsl/rows_float.wgsl"),
        Arithmetic::Prepared(Numbers::Integers) => include_str!("wgsl/rows_integers.wgsl"),
        #[cfg(target_arch = "wasm32")]
        Arithmetic::Prepared(Numbers::Halves) => concat!(
            include_str!("wgsl/half_bits.wgsl"),
            include_str!("wgsl/rows_halves.wgsl")
        ),
        #[cfg(not(target_arch = "wasm32"))]
        Arithmetic::Prepared(Numbers::Halves) => concat!(
            include_str!("wgsl/half_bits_native.wgsl"),
            include_str!("wgsl/rows_halves.wgsl")
        ),
    }
}

pub(super) const fn activation_text(function: Activation) -> &'static str {
    match function {
        Activation::Silu => include_str!("wgsl/silu.wgsl"),
        Activation::Gelu => include_str!("wgsl/gelu.wgsl"),
        Activation::Relu => include_str!("wgsl/relu.wgsl"),
    }
}

/// How four rows of a storage type are read.
pub(super) const fn weight_text(dtype: DType) -> &'static str {
    macro_rules! of {
        ($($file:literal),+) => { concat!($(include_str!(concat!("wgsl/", $file, ".wgsl"))),+) };
    }
    match dtype {
        DType::F32 => of!("f32"),
        DType::F16 => of!("f16"),
        DType::BF16 => of!("bf16"),
        DType::Q8_0 => of!("q8_0"),
        DType::Q4_0 => of!("four_bits", "q4_0"),
        DType::Q4_1 => of!("four_bits", "q4_1"),
        DType::Q5_0 => of!("five_bits", "q5_0"),
        DType::Q5_1 => of!("five_bits", "q4_1"),
        DType::Q4_K => of!("four_bits", "q4_k"),
        DType::Q5_K => of!("five_bits", "q4_k"),
        DType::Q6_K => of!("six_bits", "q6_k"),
    }
}

/// A text for so many columns: a line with # stands for one line per column.
pub(super) fn each_column(text: &str, columns: u32) -> String {
    let mut lines = String::new();
    for line in text.lines() {
        let copies = match line.contains('#') && !line.starts_with("//") {
            true => columns,
            false => 1,
        };
        for column in 0..copies {
            lines += &line.replace('#', &column.to_string());
            lines.push('\n');
        }
    }
    lines
}

/// Pipelines and layouts of one device, each built when it is first asked for: a phone's self-test, its profile and every segment
/// it loads have the same.
#[derive(Default)]
pub struct Kernels {
    call_layout: Option<wgpu::BindGroupLayout>,
    layouts: HashMap<Vec<Access>, wgpu::BindGroupLayout>,
    /// By kernel and lanes of a subgroup.
    pipelines: HashMap<(Kernel, u32), wgpu::ComputePipeline>,
}

impl Kernels {
    /// Of group 0: what changes from call to call.
    pub fn call_layout(&mut self, device: &GpuDevice) -> wgpu::BindGroupLayout {
        let build = || device.bind_group_layout(&[entry(0, wgpu::BufferBindingType::Uniform)]);
        self.call_layout.get_or_insert_with(build).clone()
    }

    /// Of group 1: constants, then the kernel's buffers.
    pub fn layout(&mut self, device: &GpuDevice, kernel: Kernel) -> wgpu::BindGroupLayout {
        let layout = self
            .layouts
            .entry(kernel.bindings())
            .or_insert_with_key(|bindings| layout(device, bindings));
        layout.clone()
    }

    /// Compiled.
    pub fn pipeline(&mut self, device: &GpuDevice, kernel: Kernel) -> wgpu::ComputePipeline {
        let layouts = [self.call_layout(device), self.layout(device, kernel)];
        let lanes = match kernel.adds_up() {
            true => device.subgroup_lanes(),
            false => 0,
        };
        let build = || {
            let source = kernel.source(lanes);
            device.pipeline(&format!("{kernel:?}"), source, &layouts.each_ref())
        };
        let pipeline = self.pipelines.entry((kernel, lanes));
        pipeline.or_insert_with(build).clone()
    }

    /// Forgets all of them: the driver may have refused one.
    pub fn clear(&mut self) {
        *self = Self::default();
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
