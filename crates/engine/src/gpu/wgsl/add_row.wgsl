// out = out + weight, one row, in every column.
@group(1) @binding(2) var<storage, read_write> out: array<mat2x4<f32>>;     // columns x vec8s

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let column = call.first_column + id.y;
    if id.x < matrix.vec8s && column < call.columns {
        let at = column * matrix.vec8s + id.x;
        out[at] = out[at] + weight8(0u, id.x);
    }
}
