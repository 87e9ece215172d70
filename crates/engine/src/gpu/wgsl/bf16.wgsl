// Elements 8i .. 8i + 7 of a row; a word is two upper halves of f32.
fn pair(word: u32) -> vec2<f32> {
    return bitcast<vec2<f32>>(vec2(word << 16u, word & 0xffff0000u));
}

fn weight8(row: u32, i: u32) -> mat2x4<f32> {
    let at = row * matrix.row_words + 4u * i;
    return mat2x4(
        vec4(pair(words[at]), pair(words[at + 1u])),
        vec4(pair(words[at + 2u]), pair(words[at + 3u])),
    );
}
