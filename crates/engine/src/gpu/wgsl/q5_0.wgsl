// Elements 8i .. 8i + 7 of a row; a scale word is the scales of two blocks of 32.
fn weight8(row: u32, i: u32) -> mat2x4<f32> {
    let scales = unpack2x16float(words[matrix.scales + row * matrix.scale_words + i / 8u]);
    let scale = select(scales.x, scales.y, (i & 4u) != 0u);
    let q = quants8(row, i);
    return mat2x4(scale * (q[0] - 16.0), scale * (q[1] - 16.0));
}
