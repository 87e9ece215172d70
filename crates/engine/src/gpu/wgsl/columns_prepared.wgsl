// What a matrix is multiplied with, prepared for the arithmetic of its products.
@group(1) @binding(2) var<storage, read> x: array<vec4<u32>>;               // columns x prepared_vec4s(vec8s)

fn column_at(column: u32) -> u32 {
    return column * prepared_vec4s(matrix.vec8s);
}
fn x8(column_at: u32, i: u32) -> X8 {
    return prepared8(column_at, matrix.vec8s, i);
}
