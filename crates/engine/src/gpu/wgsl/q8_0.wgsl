// Elements 4i .. 4i + 3 of a row; a word is four signed bytes, a scale word the scales of two blocks of 32.
fn weight4(row: u32, i: u32) -> vec4<f32> {
    let word = bitcast<i32>(words[row * matrix.row_words + i]);
    let quants = vec4<f32>((vec4(word) << vec4(24u, 16u, 8u, 0u)) >> vec4(24u));
    let scales = unpack2x16float(words[matrix.scales + row * matrix.scale_words + i / 16u]);
    return select(scales.x, scales.y, (i & 8u) != 0u) * quants;
}
