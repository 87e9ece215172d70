// Elements 8i .. 8i + 7 of four rows; a word is one element.
fn four(at: u32) -> mat4x4<f32> {
    return mat4x4(
        bitcast<vec4<f32>>(words[at]),
        bitcast<vec4<f32>>(words[at + 1u]),
        bitcast<vec4<f32>>(words[at + 2u]),
        bitcast<vec4<f32>>(words[at + 3u]),
    );
}

fn rows8(group: u32, i: u32) -> Rows8 {
    let at = group * matrix.row_words + 8u * i;
    return Rows8(four(at), four(at + 4u), vec4(1.0), vec4<f32>());
}
