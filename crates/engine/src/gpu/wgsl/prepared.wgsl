// Eight elements of a column, prepared: what `numbers` are depends on the arithmetic.
struct X8 {
    numbers: vec4<u32>,
    scale: f32,
    sum: f32,  // of the elements
}

// A prepared column has the numbers of its vectors of eight, then two by two their scales and sums.
fn prepared_vec4s(vec8s: u32) -> u32 {
    return vec8s + (vec8s + 1u) / 2u;
}
