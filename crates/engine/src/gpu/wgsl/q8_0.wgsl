// Elements 8i .. 8i + 7 of four rows; a word is four signed bytes, a scale word the scales of two blocks of 32.
fn rows8(group: u32, i: u32) -> Rows8 {
    let at = group * matrix.row_words + 2u * i;
    let scales = words[matrix.scales + group * matrix.scale_words + i / 8u];
    let scale = halves(scales >> vec4(4u * (i & 4u)));
    // Plus 128, they have no sign.
    let no_sign = vec4(0x80808080u);
    let q = Quants8(words[at] ^ no_sign, words[at + 1u] ^ no_sign, 256.0);
    return dequantised(q, scale, -128.0 * scale);
}
