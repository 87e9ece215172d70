// Elements 4i .. 4i + 3 of a row; a word is one element.
fn weight4(row: u32, i: u32) -> vec4<f32> {
    let at = row * matrix.row_words + 4u * i;
    return bitcast<vec4<f32>>(vec4(words[at], words[at + 1u], words[at + 2u], words[at + 3u]));
}
