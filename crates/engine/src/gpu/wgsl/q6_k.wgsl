// Elements 8i .. 8i + 7 of a row. A block of 256 has five scale words: a signed byte for each group of 16 elements, then d.
fn weight8(row: u32, i: u32) -> mat2x4<f32> {
    let at = matrix.scales + row * matrix.scale_words + i / 32u * 5u;
    let group = i / 2u % 16u;
    let scale = bitcast<i32>(words[at + group / 4u] << (24u - 8u * (group % 4u))) >> 24u;
    let block = unpack2x16float(words[at + 4u]).x * f32(scale);
    let q = quants8(row, i);
    return mat2x4(block * (q[0] - 32.0), block * (q[1] - 32.0));
}
