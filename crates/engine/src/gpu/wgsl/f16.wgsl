// Elements 4i .. 4i + 3 of a row; a word is two halves.
fn weight4(row: u32, i: u32) -> vec4<f32> {
    let at = row * matrix.row_words + 2u * i;
    return vec4(unpack2x16float(words[at]), unpack2x16float(words[at + 1u]));
}
