// What leaves is activation(gate) * up, of two rows.
fn leave(part: u32, column: u32, row: u32, sum: vec4<f32>) {
    let y = activation(sum).xy * sum.zw;
    let at = column * product.parts[0].out_stride + product.parts[0].first_row + row;
    for (var i = 0u; i < min(2u, product.parts[0].rows - row); i++) {
        out[at + i] = y[i];
    }
}
