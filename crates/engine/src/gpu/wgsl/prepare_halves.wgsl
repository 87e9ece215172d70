// Halves below 1: elements 0 and 2, 1 and 3, 4 and 6, 5 and 7, divided by a power of two.
fn prepared(eight: mat2x4<f32>) -> X8 {
    let exponent = clamp(largest_of(eight) >> 23u, 1u, 252u);
    let scale = bitcast<f32>((exponent + 1u) << 23u);
    let inverse = bitcast<f32>((253u - exponent) << 23u);
    let low = eight[0] * inverse;
    let high = eight[1] * inverse;
    let numbers = vec4(
        pack2x16float(low.xz),
        pack2x16float(low.yw),
        pack2x16float(high.xz),
        pack2x16float(high.yw),
    );
    let all = eight[0] + eight[1];
    return X8(numbers, scale, (all.x + all.y) + (all.z + all.w));
}
