// Products of halves, eight of which are added up before they are turned into f32. What enters is scaled, so that none overflows:
// an element is a half * scale. `numbers` has elements 0 and 2, 1 and 3, 4 and 6, 5 and 7. Of a row it is
// (byte / 256 - 1/2) * scale + minimum.

// Each quant * scale + minimum.
fn dequantised(q: Quants8, scale: vec4<f32>, minimum: vec4<f32>) -> Rows8 {
    let unit = q.levels * scale;
    return Rows8(q.low, q.high, unit, minimum + 0.5 * unit);
}

// Two bytes of two rows each, those that begin at bit 2 and 18 of a word: put among the bits of a half, because GPUs are slow at
// turning integers into floats. Exact.
fn centred(bytes: vec2<u32>) -> vec4<f16> {
    return of_bits((bytes & vec2(0x03fc03fcu)) | vec2(0x3c003c00u)) - 1.5h;
}

fn dots(low: vec2<u32>, high: vec2<u32>, x: vec4<u32>) -> vec2<f32> {
    let first = centred(low << vec2(2u)) * of_bits(x.xx) + centred(low >> vec2(6u)) * of_bits(x.yy);
    let second = centred(high << vec2(2u)) * of_bits(x.zz) + centred(high >> vec2(6u)) * of_bits(x.ww);
    let pairs = vec4<f32>(first + second);
    return pairs.xz + pairs.yw;
}

// The products with eight elements of a column.
fn times(w: Rows8, x: X8) -> vec4<f32> {
    let products = vec4(dots(w.low.xy, w.high.xy, x.numbers), dots(w.low.zw, w.high.zw, x.numbers));
    return products * x.scale * w.scale + w.minimum * x.sum;
}
