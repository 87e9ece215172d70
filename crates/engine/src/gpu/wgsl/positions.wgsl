// out = weight[position + offset], for the positions whose rows are held here.
@group(1) @binding(2) var<storage, read_write> out: array<mat2x4<f32>>;     // columns x vec8s

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let column = call.first_column + id.y;
    if id.x >= matrix.vec8s || column >= call.columns {
        return;
    }
    let row = call.position + column + matrix.offset - matrix.first_row;
    if row < matrix.rows {
        out[column * matrix.vec8s + id.x] = row8(row, id.x);
    }
}
