// Elements 8i .. 8i + 7 of a row. A block of 256 has four scale words: d and m; the lower four bits of scales (low 16) and minima
// (high 16) of groups 0..4, and of 4..8; the upper two of all groups. A group is 32 elements.
fn weight8(row: u32, i: u32) -> mat2x4<f32> {
    let at = matrix.scales + row * matrix.scale_words + i / 32u * 4u;
    let group = i / 4u % 8u;
    let lower = words[at + 1u + group / 4u] >> (4u * (group % 4u));
    let upper = words[at + 3u] >> (2u * group);
    let scale_and_minimum = (vec2(lower, lower >> 16u) & vec2(15u)) + 16u * (vec2(upper, upper >> 16u) & vec2(3u));
    let block = unpack2x16float(words[at]) * vec2<f32>(scale_and_minimum);
    let q = quants8(row, i);
    return mat2x4(block.x * q[0] - block.y, block.x * q[1] - block.y);
}
