//! Rotary position embedding (RoFormer, arXiv 2104.09864).

use model::Pairing;

/// Rotates the last columns of a call: `x` and `out` are any number of them x `width` (heads * head_dim), `cos_sin` holds
/// `rotary_dim` numbers for every column of the call.
pub fn rotate(
    pairing: Pairing,
    cos_sin: &[f32],
    rotary_dim: usize,
    x: &[f32],
    width: usize,
    head_dim: usize,
    out: &mut [f32],
) {
    out.copy_from_slice(x);
    let unused = cos_sin.len() - out.len() / width * rotary_dim;
    let angles = cos_sin[unused..].chunks_exact(rotary_dim);
    for (column, angles) in out.chunks_exact_mut(width).zip(angles) {
        for head in column.chunks_exact_mut(head_dim) {
            let head = &mut head[..rotary_dim];
            match pairing {
                Pairing::Neighbours => rotate_neighbours(head, angles),
                Pairing::Halves => rotate_halves(head, angles),
            }
        }
    }
}

fn rotate_neighbours(head: &mut [f32], angles: &[f32]) {
    let pairs = head.as_chunks_mut::<2>().0.iter_mut();
    for (pair, angle) in pairs.zip(angles.as_chunks().0) {
        *pair = turned(*pair, *angle);
    }
}

fn rotate_halves(head: &mut [f32], angles: &[f32]) {
    let (low, high) = head.split_at_mut(head.len() / 2);
    for ((low, high), angle) in low.iter_mut().zip(high).zip(angles.as_chunks().0) {
        [*low, *high] = turned([*low, *high], *angle);
    }
}

fn turned([a, b]: [f32; 2], [cos, sin]: [f32; 2]) -> [f32; 2] {
    [a * cos - b * sin, a * sin + b * cos]
}
