// Elements 8i .. 8i + 7 of one row.
fn row8(row: u32, i: u32) -> mat2x4<f32> {
    let w = rows8(row / 4u, i);
    let r = row % 4u;
    let low = vec4(w.low[0][r], w.low[1][r], w.low[2][r], w.low[3][r]);
    let high = vec4(w.high[0][r], w.high[1][r], w.high[2][r], w.high[3][r]);
    return mat2x4(low * w.scale[r] + w.minimum[r], high * w.scale[r] + w.minimum[r]);
}
