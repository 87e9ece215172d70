// Products in f32.
alias X8 = mat2x4<f32>;

// Eight neighbouring elements of four rows, each number * scale + minimum. A column holds one element of the four rows.
struct Rows8 {
    low: mat4x4<f32>,
    high: mat4x4<f32>,
    scale: vec4<f32>,
    minimum: vec4<f32>,
}

// The products with eight elements of a column.
fn times(w: Rows8, x: X8) -> vec4<f32> {
    let pairs = x[0] + x[1];
    let sum = (pairs.x + pairs.y) + (pairs.z + pairs.w);
    return (w.low * x[0] + w.high * x[1]) * w.scale + w.minimum * sum;
}

// Of four words, the bytes, lowest first, each as 1 + byte / 256: put among the bits of a number, because GPUs are slow at turning
// integers into floats.
fn bytes(four: vec4<u32>) -> mat4x4<f32> {
    let one = vec4(0x3f800000u);
    let fraction = vec4(0x007f8000u);
    return mat4x4(
        bitcast<vec4<f32>>(((four << vec4(15u)) & fraction) | one),
        bitcast<vec4<f32>>(((four << vec4(7u)) & fraction) | one),
        bitcast<vec4<f32>>(((four >> vec4(1u)) & fraction) | one),
        bitcast<vec4<f32>>(((four >> vec4(9u)) & fraction) | one),
    );
}

// Each quant * scale + minimum.
fn dequantised(q: Quants8, scale: vec4<f32>, minimum: vec4<f32>) -> Rows8 {
    let unit = q.levels * scale;
    return Rows8(bytes(q.low), bytes(q.high), unit, minimum - unit);
}
