// Elements 8i .. 8i + 7 of four rows. A block of 256 has five scale words: a signed byte for each part of 16 elements, then d.
fn rows8(group: u32, i: u32) -> Rows8 {
    let at = matrix.scales + group * matrix.scale_words + i / 32u * 5u;
    let part = i / 2u % 16u;
    let signed = bitcast<vec4<i32>>(words[at + part / 4u] << vec4(24u - 8u * (part % 4u))) >> vec4(24u);
    let scale = halves(words[at + 4u]) * vec4<f32>(signed);
    return dequantised(quants8(group, i), scale, -32.0 * scale);
}
