//! Rotary position embedding (RoFormer, arXiv 2104.09864), pairs (2i, 2i + 1).

/// Rotates the last columns of a call: `x` and `out` are any number of them x `width` (heads * head_dim), `cos_sin` holds
/// `rotary_dim` numbers for every column of the call.
pub fn rotate(
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
            rotate_head(&mut head[..rotary_dim], angles);
        }
    }
}

fn rotate_head(head: &mut [f32], angles: &[f32]) {
    for (pair, angle) in head
        .as_chunks_mut::<2>()
        .0
        .iter_mut()
        .zip(angles.as_chunks::<2>().0)
    {
        let ([a, b], [cos, sin]) = (*pair, *angle);
        *pair = [a * cos - b * sin, a * sin + b * cos];
    }
}
