// Elements 4i .. 4i + 3 of a row; a word is eight nibbles, lowest first, a scale word scale and minimum of a block of 32.
fn weight4(row: u32, i: u32) -> vec4<f32> {
    let half_word = words[row * matrix.row_words + i / 2u] >> (16u * (i & 1u));
    let quants = vec4<f32>((vec4(half_word) >> vec4(0u, 4u, 8u, 12u)) & vec4(15u));
    let scale_and_minimum = unpack2x16float(words[matrix.scales + row * matrix.scale_words + i / 8u]);
    return scale_and_minimum.x * quants + scale_and_minimum.y;
}
