// Quants 8i .. 8i + 7 of a row; of each 32, four words are nibbles, lowest first, and two the pairs of bits above them.
fn quants8(row: u32, i: u32) -> mat2x4<f32> {
    let at = row * matrix.row_words + i / 4u * 6u;
    let word = words[at + (i & 3u)];
    let bits = words[at + 4u + (i & 2u) / 2u] >> (16u * (i & 1u));
    let low = (vec4(word) >> vec4(0u, 4u, 8u, 12u)) & vec4(15u);
    let high = (vec4(word) >> vec4(16u, 20u, 24u, 28u)) & vec4(15u);
    let low_bits = (vec4(bits) >> vec4(0u, 2u, 4u, 6u)) & vec4(3u);
    let high_bits = (vec4(bits) >> vec4(8u, 10u, 12u, 14u)) & vec4(3u);
    return mat2x4(vec4<f32>(low + 16u * low_bits), vec4<f32>(high + 16u * high_bits));
}
