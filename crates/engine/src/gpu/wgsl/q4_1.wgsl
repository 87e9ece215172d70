// Elements 8i .. 8i + 7 of a row; a word is eight nibbles, lowest first, a scale word scale and minimum of a block of 32.
fn nibbles(word: u32) -> vec4<f32> {
    return vec4<f32>((vec4(word) >> vec4(0u, 4u, 8u, 12u)) & vec4(15u));
}

fn weight8(row: u32, i: u32) -> mat2x4<f32> {
    let word = words[row * matrix.row_words + i];
    let block = unpack2x16float(words[matrix.scales + row * matrix.scale_words + i / 4u]);
    return mat2x4(block.x * nibbles(word) + block.y, block.x * nibbles(word >> 16u) + block.y);
}
