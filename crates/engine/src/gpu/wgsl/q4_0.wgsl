// Elements 8i .. 8i + 7 of a row; a word is eight nibbles, lowest first, a scale word the scales of two blocks of 32.
fn nibbles(word: u32) -> vec4<f32> {
    return vec4<f32>((vec4(word) >> vec4(0u, 4u, 8u, 12u)) & vec4(15u));
}

fn weight8(row: u32, i: u32) -> mat2x4<f32> {
    let word = words[row * matrix.row_words + i];
    let scales = unpack2x16float(words[matrix.scales + row * matrix.scale_words + i / 8u]);
    let scale = select(scales.x, scales.y, (i & 4u) != 0u);
    return mat2x4(scale * (nibbles(word) - 8.0), scale * (nibbles(word >> 16u) - 8.0));
}
