// Elements 8i .. 8i + 7 of four rows; a scale word is the scales of two blocks of 32.
fn rows8(group: u32, i: u32) -> Rows8 {
    let scales = words[matrix.scales + group * matrix.scale_words + i / 8u];
    let scale = halves(scales >> vec4(4u * (i & 4u)));
    return dequantised(quants8(group, i), scale, -8.0 * scale);
}
