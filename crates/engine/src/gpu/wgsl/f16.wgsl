// Elements 8i .. 8i + 7 of a row; a word is two halves.
fn weight8(row: u32, i: u32) -> mat2x4<f32> {
    let at = row * matrix.row_words + 4u * i;
    return mat2x4(
        vec4(unpack2x16float(words[at]), unpack2x16float(words[at + 1u])),
        vec4(unpack2x16float(words[at + 2u]), unpack2x16float(words[at + 3u])),
    );
}
