// Elements 8i .. 8i + 7 of four rows. A block of 256 has four scale words: d and m; the lower four bits of scales (low 16) and minima
// (high 16) of parts 0..4, and of 4..8; the upper two of all parts. A part is 32 elements.
fn rows8(group: u32, i: u32) -> Rows8 {
    let at = matrix.scales + group * matrix.scale_words + i / 32u * 4u;
    let part = i / 4u % 8u;
    let block = words[at];
    let lower = words[at + 1u + part / 4u] >> vec4(4u * (part % 4u));
    let upper = words[at + 3u] >> vec4(2u * part);
    let scale = (lower & vec4(15u)) | ((upper & vec4(3u)) << vec4(4u));
    let minimum = ((lower >> vec4(16u)) & vec4(15u)) | (((upper >> vec4(16u)) & vec4(3u)) << vec4(4u));
    let fall = halves(block >> vec4(16u)) * vec4<f32>(minimum);
    return dequantised(quants8(group, i), halves(block) * vec4<f32>(scale), -fall);
}
