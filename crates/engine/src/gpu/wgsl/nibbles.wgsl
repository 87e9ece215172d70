// Quants 8i .. 8i + 7 of a row; a word is eight nibbles, lowest first.
fn quants8(row: u32, i: u32) -> mat2x4<f32> {
    let word = words[row * matrix.row_words + i];
    let low = (vec4(word) >> vec4(0u, 4u, 8u, 12u)) & vec4(15u);
    let high = (vec4(word) >> vec4(16u, 20u, 24u, 28u)) & vec4(15u);
    return mat2x4(vec4<f32>(low), vec4<f32>(high));
}
