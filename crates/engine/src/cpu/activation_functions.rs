//! What the elements of an MLP go through.

use model::Activation;

use super::exponential::exp;

/// out = function(x).
pub fn activate(function: Activation, x: &[f32], out: &mut [f32]) {
    match function {
        Activation::Silu => map(x, out, silu),
        Activation::Gelu => map(x, out, gelu),
        Activation::Relu => map(x, out, relu),
    }
}

/// out = function(gate) * up.
pub fn gate(function: Activation, gate: &[f32], up: &[f32], out: &mut [f32]) {
    activate(function, gate, out);
    for (out, up) in out.iter_mut().zip(up) {
        *out *= up;
    }
}

#[inline(always)]
fn map(x: &[f32], out: &mut [f32], function: impl Fn(f32) -> f32) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = function(*x);
    }
}

fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// 0.5 x (1 + tanh(u)) is x / (1 + e^-2u).
fn gelu(x: f32) -> f32 {
    /// sqrt(2 / pi).
    const SLOPE: f32 = 0.797_884_6;
    x / (1.0 + exp(-2.0 * SLOPE * (x + 0.044_715 * x * x * x)))
}

fn relu(x: f32) -> f32 {
    x.max(0.0)
}
