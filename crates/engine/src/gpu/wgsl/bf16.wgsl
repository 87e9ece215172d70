// Elements 8i .. 8i + 7 of four rows; a word is two upper halves of f32.
fn pairs(first: vec4<u32>, second: vec4<u32>) -> mat4x4<f32> {
    let upper = vec4(0xffff0000u);
    return mat4x4(
        bitcast<vec4<f32>>(first << vec4(16u)),
        bitcast<vec4<f32>>(first & upper),
        bitcast<vec4<f32>>(second << vec4(16u)),
        bitcast<vec4<f32>>(second & upper),
    );
}

fn rows8(group: u32, i: u32) -> Rows8 {
    let at = group * matrix.row_words + 4u * i;
    let low = pairs(words[at], words[at + 1u]);
    let high = pairs(words[at + 2u], words[at + 3u]);
    return Rows8(low, high, vec4(1.0), vec4<f32>());
}
