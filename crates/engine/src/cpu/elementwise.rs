//! Operations on one column at a time that are not matrix products.

use super::{exponential::exp, lanes::dot};

/// out = x / sqrt(mean(x^2) + eps) * gain (RMSNorm, arXiv 1910.07467).
pub fn rms_norm(x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) {
    let width = gain.len();
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let mean_square = dot(x, x) / width as f32;
        let inverse = 1.0 / (mean_square + eps).sqrt();
        for ((out, x), gain) in out.iter_mut().zip(x).zip(gain) {
            *out = x * inverse * gain;
        }
    }
}

/// out = gate * sigmoid(gate) * up.
pub fn silu_mul(gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
        *out = gate / (1.0 + exp(-gate)) * up;
    }
}

/// out = a + b.
pub fn add(a: &[f32], b: &[f32], out: &mut [f32]) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = a + b;
    }
}
