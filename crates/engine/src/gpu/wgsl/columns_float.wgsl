// What a matrix is multiplied with. In vectors of four: as matrices of two, a driver may load them number by number.
@group(1) @binding(2) var<storage, read> x: array<vec4<f32>>;               // columns x 2 vec8s

fn column_at(column: u32) -> u32 {
    return column * matrix.vec8s;
}
fn x8(column_at: u32, i: u32) -> X8 {
    return X8(x[2u * (column_at + i)], x[2u * (column_at + i) + 1u]);
}
