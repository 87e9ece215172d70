// Elements 8i .. 8i + 7 of four rows; a word is four signed bytes, a scale word the scales of two blocks of 32.
fn signed_bytes(four: vec4<u32>) -> mat4x4<f32> {
    let signed = bitcast<vec4<i32>>(four);
    return mat4x4(
        vec4<f32>((signed << vec4(24u)) >> vec4(24u)),
        vec4<f32>((signed << vec4(16u)) >> vec4(24u)),
        vec4<f32>((signed << vec4(8u)) >> vec4(24u)),
        vec4<f32>(signed >> vec4(24u)),
    );
}

fn rows8(group: u32, i: u32) -> Rows8 {
    let at = group * matrix.row_words + 2u * i;
    let scales = words[matrix.scales + group * matrix.scale_words + i / 8u];
    let scale = halves(scales >> vec4(4u * (i & 4u)));
    return Rows8(signed_bytes(words[at]), signed_bytes(words[at + 1u]), scale, vec4<f32>());
}
