// A run of rows of a weight, repacked into words. Four rows lie beside each other: a vector is the same word of each. First come the
// quants of all rows, then the scales of all rows.
struct Matrix {
    first_row: u32,    // of the output or table
    rows: u32,         // held here
    cols: u32,         // elements per row
    vec8s: u32,        // cols / 8, rounded up; what is missing is zero
    row_words: u32,    // quant words per row
    scales: u32,       // index of the first vector of scale words
    scale_words: u32,  // scale words per row
    out_stride: u32,   // elements per column of the output
    offset: u32,       // of learned positions: rows before that of position 0
    bias: u32,         // where it begins, in vectors of four; or NONE
    first_group: u32,  // workgroup that computes the first rows
    padding: u32,
}

// Eight neighbouring elements of four rows, each number * scale + minimum. A column holds one element of the four rows.
struct Rows8 {
    low: mat4x4<f32>,
    high: mat4x4<f32>,
    scale: vec4<f32>,
    minimum: vec4<f32>,
}

// The products with eight elements of a column.
fn times(w: Rows8, x: mat2x4<f32>) -> vec4<f32> {
    let pairs = x[0] + x[1];
    let sum = (pairs.x + pairs.y) + (pairs.z + pairs.w);
    return (w.low * x[0] + w.high * x[1]) * w.scale + w.minimum * sum;
}

// Of four words, the lower halves, finite ones. By integers: drivers flush small numbers or are slow at unpack2x16float.
fn halves(four: vec4<u32>) -> vec4<f32> {
    let size = (four & vec4(0x7fffu)) << vec4(13u);
    let normal = bitcast<vec4<f32>>(size + vec4(0x38000000u));
    let small = bitcast<vec4<f32>>(size + vec4(0x38800000u)) - 0x1p-14;
    let magnitude = select(small, normal, size >= vec4(0x00800000u));
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(magnitude) | ((four & vec4(0x8000u)) << vec4(16u)));
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

// In every byte, the bits of a mask for one byte.
fn in_bytes(four: vec4<u32>, mask: u32) -> vec4<u32> {
    return four & vec4(mask * 0x01010101u);
}
// Eight neighbouring quants of four rows, each as 1 + quant / levels. A column holds one quant of the four rows.
struct Quants8 {
    low: mat4x4<f32>,
    high: mat4x4<f32>,
    levels: f32,
}

// Each quant * scale + minimum.
fn dequantised(q: Quants8, scale: vec4<f32>, minimum: vec4<f32>) -> Rows8 {
    let unit = q.levels * scale;
    return Rows8(q.low, q.high, unit, minimum - unit);
}
