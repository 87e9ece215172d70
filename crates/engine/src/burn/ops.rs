//! Every op of the graph as Burn tensors: columns x width in, columns x width out.

use burn_backend::{
    TensorMetadata,
    ops::{FloatTensorOps, ModuleOps},
};
use burn_wgpu::Wgpu;
use model::{Activation, Pairing};

use super::tensor::{Tensor, joined, part, reshape};

/// x / sqrt(mean(x^2) + eps) * gain, for each run of as many elements as `gain` (1 x run) has.
pub fn rms_norm(x: Tensor, gain: Tensor, eps: f32) -> Tensor {
    let [columns, width] = x.shape().dims();
    let [_, run] = gain.shape().dims();
    let runs = reshape(x, [columns * width / run, run]);
    let mean_square = Wgpu::float_mean_dim(Wgpu::float_mul(runs.clone(), runs.clone()), 1);
    let size = Wgpu::float_sqrt(Wgpu::float_add_scalar(mean_square, eps.into()));
    reshape(
        Wgpu::float_mul(Wgpu::float_div(runs, size), gain),
        [columns, width],
    )
}

/// (x - mean(x)) / sqrt(variance(x) + eps) * gain + bias.
pub fn layer_norm(x: Tensor, gain: Tensor, bias: Tensor, eps: f32) -> Tensor {
    Wgpu::layer_norm(x, gain, Some(bias), f64::from(eps))
}

/// x times the transpose of each run of a matrix's rows, side by side; + bias.
pub fn linear<'a>(
    x: &Tensor,
    pieces: impl Iterator<Item = &'a Tensor>,
    bias: Option<Tensor>,
) -> Option<Tensor> {
    let product =
        |rows: &Tensor| Wgpu::float_matmul(x.clone(), Wgpu::float_swap_dims(rows.clone(), 0, 1));
    let out = joined(pieces.map(product).collect(), 1)?;
    Some(match bias {
        Some(bias) => Wgpu::float_add(out, bias),
        None => out,
    })
}

/// Rotates pairs of the first elements of each head by the angles whose cosines and sines (columns x 1 x pairs) are given.
pub fn rope(x: Tensor, head_dim: usize, pairing: Pairing, [cos, sin]: [&Tensor; 2]) -> Tensor {
    let [columns, width] = x.shape().dims();
    let [_, _, pairs] = cos.shape().dims();
    let heads = width / head_dim;
    let rotary_dim = 2 * pairs;
    let x = reshape(x, [columns, heads, head_dim]);
    let rotary = part(&x, [0..columns, 0..heads, 0..rotary_dim]);
    // In both, dimension `of_pair` says which element of a pair it is.
    let (apart, of_pair) = match pairing {
        Pairing::Neighbours => ([columns, heads, pairs, 2], 3),
        Pairing::Halves => ([columns, heads, 2, pairs], 2),
    };
    let rotary = reshape(rotary, apart);
    let element = |index: usize| {
        let mut ranges = apart.map(|size| 0..size);
        ranges[of_pair] = index..index + 1;
        reshape(part(&rotary, ranges), [columns, heads, pairs])
    };
    let times = |a: &Tensor, b: &Tensor| Wgpu::float_mul(a.clone(), b.clone());
    let (first, second) = (element(0), element(1));
    let turned = [
        Wgpu::float_sub(times(&first, cos), times(&second, sin)),
        Wgpu::float_add(times(&first, sin), times(&second, cos)),
    ];
    let mut single = apart;
    single[of_pair] = 1;
    let turned = turned.map(|element| reshape(element, single));
    let turned = Wgpu::float_cat(turned.into(), of_pair);
    let turned = reshape(turned, [columns, heads, rotary_dim]);
    let out = match rotary_dim < head_dim {
        true => {
            let rest = part(&x, [0..columns, 0..heads, rotary_dim..head_dim]);
            Wgpu::float_cat(vec![turned, rest], 2)
        }
        false => turned,
    };
    reshape(out, [columns, width])
}

/// activation(gate) * up.
pub fn gate(function: Activation, gate: Tensor, up: Tensor) -> Tensor {
    Wgpu::float_mul(activate(function, gate), up)
}

/// x * factor.
pub fn scale(x: Tensor, factor: f32) -> Tensor {
    Wgpu::float_mul_scalar(x, factor.into())
}

/// a + b.
pub fn add(a: Tensor, b: Tensor) -> Tensor {
    Wgpu::float_add(a, b)
}

/// activation(x).
pub fn activate(function: Activation, x: Tensor) -> Tensor {
    match function {
        Activation::Silu => times_sigmoid(x.clone(), x),
        // 0.5 x (1 + tanh(u)) is x / (1 + e^-2u), which no driver gets wrong where u is large.
        Activation::Gelu => times_sigmoid(x.clone(), twice_u(x)),
        Activation::Relu => Wgpu::float_clamp_min(x, 0.0.into()),
    }
}

/// 2 sqrt(2 / pi) (x + 0.044715 x^3).
fn twice_u(x: Tensor) -> Tensor {
    const SLOPE: f32 = 2.0 * 0.797_884_6;
    let square = Wgpu::float_mul(x.clone(), x.clone());
    let factor = Wgpu::float_add_scalar(
        Wgpu::float_mul_scalar(square, (SLOPE * 0.044_715).into()),
        SLOPE.into(),
    );
    Wgpu::float_mul(x, factor)
}

/// x / (1 + e^-y).
fn times_sigmoid(x: Tensor, y: Tensor) -> Tensor {
    let power = Wgpu::float_exp(Wgpu::float_neg(y));
    Wgpu::float_div(x, Wgpu::float_add_scalar(power, 1.0.into()))
}
