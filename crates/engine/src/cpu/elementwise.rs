//! Operations on one column at a time that are not matrix products.

use super::lanes::{dot, sum};

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

/// out = (x - mean(x)) / sqrt(variance(x) + eps) * gain + bias (LayerNorm, arXiv 1607.06450).
pub fn layer_norm(x: &[f32], gain: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
    let width = gain.len();
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let mean = sum(x) / width as f32;
        for (out, x) in out.iter_mut().zip(x) {
            *out = x - mean;
        }
        let variance = dot(out, out) / width as f32;
        let inverse = 1.0 / (variance + eps).sqrt();
        for ((out, gain), bias) in out.iter_mut().zip(gain).zip(bias) {
            *out = *out * inverse * gain + bias;
        }
    }
}

/// out = out + row, in every column.
pub fn add_row(row: &[f32], out: &mut [f32]) {
    for column in out.chunks_exact_mut(row.len()) {
        for (out, row) in column.iter_mut().zip(row) {
            *out += row;
        }
    }
}

/// out = x * factor.
pub fn scale(x: &[f32], factor: f32, out: &mut [f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = x * factor;
    }
}

/// out = a + b.
pub fn add(a: &[f32], b: &[f32], out: &mut [f32]) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = a + b;
    }
}
