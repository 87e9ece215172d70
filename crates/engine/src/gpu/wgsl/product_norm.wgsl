// What enters is x / sqrt(mean(x^2) + eps) * gain, of x rounded; the division comes last, when the squares are known.
fn entering_column(column: u32, vec8s: u32) -> Column {
    return Column(column * vec8s, vec8s, rounding_of(column));
}
fn entering8(column: Column, i: u32) -> X8 {
    let at = 2u * (column.at + i);
    return X8(rounded4(x[at], column.rounding), rounded4(x[at + 1u], column.rounding));
}
fn square8(x8: X8) -> f32 {
    return dot(x8[0], x8[0]) + dot(x8[1], x8[1]);
}
fn gain8(i: u32) -> mat2x4<f32> {
    return mat2x4(vectors[product.gain + 2u * i], vectors[product.gain + 2u * i + 1u]);
}
fn scaled8(x8: X8, gain: mat2x4<f32>) -> X8 {
    return X8(x8[0] * gain[0], x8[1] * gain[1]);
}
fn factor(squares: f32, part: u32) -> f32 {
    return 1.0 / sqrt(squares / f32(product.parts[part].cols) + product.eps);
}
