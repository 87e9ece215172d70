// Elements 8i .. 8i + 7 of a row; a scale word is scale and minimum of a block of 32.
fn weight8(row: u32, i: u32) -> mat2x4<f32> {
    let block = unpack2x16float(words[matrix.scales + row * matrix.scale_words + i / 4u]);
    let q = quants8(row, i);
    return mat2x4(block.x * q[0] + block.y, block.x * q[1] + block.y);
}
