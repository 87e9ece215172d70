// What leaves is the residual stream, rounded, plus a product and its bias: the next residual stream, not yet rounded. Its largest
// magnitudes go to the maxima.
fn leave(part: u32, column: u32, row: u32, sums: Sums, factor: f32) {
    let rounding = rounding_of(column);
    let added = sums.first * factor + bias4(part, row);
    let at = column * product.parts[part].out_stride + product.parts[part].first_row + row;
    var largest = 0u;
    for (var i = 0u; i < min(4u, product.parts[part].rows - row); i++) {
        let y = rounded(residual[at + i], rounding) + added[i];
        out[at + i] = y;
        largest = max(largest, bitcast<u32>(y) & MAGNITUDE);
    }
    // Most are not the largest so far: reading is cheaper.
    if product.maxima != NONE && largest > atomicLoad(&maxima[product.maxima + column]) {
        atomicMax(&maxima[product.maxima + column], largest);
    }
}
