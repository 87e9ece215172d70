// A run of rows of a weight, repacked into words: the quants of all rows, then the scales of all rows.
struct Matrix {
    first_row: u32,    // of the output or table
    rows: u32,         // held here
    cols: u32,         // elements per row
    vec8s: u32,        // cols / 8, rounded up; what is missing is zero
    row_words: u32,    // quant words per row
    scales: u32,       // index of the first scale word
    scale_words: u32,  // scale words per row
    out_stride: u32,   // elements per column of the output
    offset: u32,       // of learned positions: rows before that of position 0
    bias: u32,         // where it begins, in vectors of four; or NONE
    first_group: u32,  // workgroup that computes the first rows
    padding: u32,
}
