// Elements 8i .. 8i + 7 of a row; a word is four signed bytes, a scale word the scales of two blocks of 32.
fn signed_bytes(word: u32) -> vec4<f32> {
    return vec4<f32>((vec4(bitcast<i32>(word)) << vec4(24u, 16u, 8u, 0u)) >> vec4(24u));
}

fn weight8(row: u32, i: u32) -> mat2x4<f32> {
    let at = row * matrix.row_words + 2u * i;
    let scales = unpack2x16float(words[matrix.scales + row * matrix.scale_words + i / 8u]);
    let scale = select(scales.x, scales.y, (i & 4u) != 0u);
    return mat2x4(scale * signed_bytes(words[at]), scale * signed_bytes(words[at + 1u]));
}
