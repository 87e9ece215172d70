// Elements 8i .. 8i + 7 of a row; a word is one element.
fn weight8(row: u32, i: u32) -> mat2x4<f32> {
    let at = row * matrix.row_words + 8u * i;
    return mat2x4(
        bitcast<vec4<f32>>(vec4(words[at], words[at + 1u], words[at + 2u], words[at + 3u])),
        bitcast<vec4<f32>>(vec4(words[at + 4u], words[at + 5u], words[at + 6u], words[at + 7u])),
    );
}
