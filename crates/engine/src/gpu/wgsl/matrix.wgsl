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
    first_out: u32,    // 1 where the output begins with the first column that is computed, 0 where with that of the call
}

// Of four words, the lower halves, finite ones. By integers: drivers flush small numbers or are slow at unpack2x16float.
fn halves(four: vec4<u32>) -> vec4<f32> {
    let size = (four & vec4(0x7fffu)) << vec4(13u);
    let normal = bitcast<vec4<f32>>(size + vec4(0x38000000u));
    let small = bitcast<vec4<f32>>(size + vec4(0x38800000u)) - 0x1p-14;
    let magnitude = select(small, normal, size >= vec4(0x00800000u));
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(magnitude) | ((four & vec4(0x8000u)) << vec4(16u)));
}

// In every byte, the bits of a mask for one byte.
fn in_bytes(four: vec4<u32>, mask: u32) -> vec4<u32> {
    return four & vec4(mask * 0x01010101u);
}

// Eight neighbouring quants of four rows as bytes, lowest first, each shifted to the top of its byte: quant / levels is byte / 256.
struct Quants8 {
    low: vec4<u32>,
    high: vec4<u32>,
    levels: f32,
}
