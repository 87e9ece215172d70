// Elements 8i .. 8i + 7 of four rows; a scale word is scale and minimum of a block of 32.
fn rows8(group: u32, i: u32) -> Rows8 {
    let block = words[matrix.scales + group * matrix.scale_words + i / 4u];
    return dequantised(quants8(group, i), halves(block), halves(block >> vec4(16u)));
}
