// Products of integers. What enters has 16 bits, as on the CPU, in two bytes: the upper ones of eight elements are x and y of
// `numbers`, the lower ones z and w. An element is (256 upper + lower) * scale, both with a sign. Of a row it is a byte with a
// sign * scale + minimum.

// Each quant * scale + minimum.
fn dequantised(q: Quants8, scale: vec4<f32>, minimum: vec4<f32>) -> Rows8 {
    if q.levels == 256.0 {
        // Minus 128, they have a sign.
        let half = vec4(0x80808080u);
        return Rows8(q.low ^ half, q.high ^ half, scale, minimum + 128.0 * scale);
    }
    let unused = vec4(countTrailingZeros(256u / u32(q.levels)));
    return Rows8(q.low >> unused, q.high >> unused, scale, minimum);
}

fn dots(w: Rows8, low: u32, high: u32) -> vec4<i32> {
    return vec4(
        dot4I8Packed(w.low.x, low) + dot4I8Packed(w.high.x, high),
        dot4I8Packed(w.low.y, low) + dot4I8Packed(w.high.y, high),
        dot4I8Packed(w.low.z, low) + dot4I8Packed(w.high.z, high),
        dot4I8Packed(w.low.w, low) + dot4I8Packed(w.high.w, high),
    );
}

// The products with eight elements of a column.
fn times(w: Rows8, x: X8) -> vec4<f32> {
    let upper = dots(w, x.numbers.x, x.numbers.y) << vec4(8u);
    let products = vec4<f32>(upper + dots(w, x.numbers.z, x.numbers.w));
    return products * x.scale * w.scale + w.minimum * x.sum;
}
