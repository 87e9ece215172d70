// What leaves is the activation of a product and its bias.
fn leave(part: u32, column: u32, row: u32, sums: Sums, factor: f32) {
    let y = activation(sums.first * factor + bias4(part, row));
    let at = column * product.parts[part].out_stride + product.parts[part].first_row + row;
    for (var i = 0u; i < min(4u, product.parts[part].rows - row); i++) {
        out[at + i] = y[i];
    }
}
