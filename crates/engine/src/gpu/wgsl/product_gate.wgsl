// What leaves is activation(gate) * up.
fn leave(part: u32, column: u32, row: u32, sums: Sums, factor: f32) {
    let y = activation(sums.first * factor) * (sums.second * factor);
    let at = column * product.parts[0].out_stride + product.parts[0].first_row + row;
    for (var i = 0u; i < min(4u, product.parts[0].rows - row); i++) {
        out[at + i] = y[i];
    }
}
