// What leaves is the activation of a product and its bias.
fn leave(part: u32, column: u32, row: u32, sums: Sums, factor: f32) {
    let y = activation(sums.first * factor + bias4(part, row));
    let matrix = product.parts[part];
    let at = (column - matrix.first_out * call.first_column) * matrix.out_stride + matrix.first_row + row;
    for (var i = 0u; i < min(4u, matrix.rows - row); i++) {
        out[at + i] = y[i];
    }
}
