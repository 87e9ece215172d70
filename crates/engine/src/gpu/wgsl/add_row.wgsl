// out = out + bias, in every column.
struct Shape {
    vec4s: u32,   // elements per column / 4, rounded up
    stride: u32,  // elements per column in memory / 4
    bias: u32,    // where it begins, in vectors of four
    first_out: u32,  // 1 where out begins with the first column that is computed, 0 where with that of the call
}
@group(1) @binding(0) var<uniform> shape: Shape;
@group(1) @binding(1) var<storage, read> vectors: array<vec4<f32>>;
@group(1) @binding(2) var<storage, read_write> out: array<vec4<f32>>;       // columns x stride

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let column = call.first_column + id.y;
    if id.x < shape.vec4s && column < call.columns {
        let at = (column - shape.first_out * call.first_column) * shape.stride + id.x;
        out[at] = out[at] + vectors[shape.bias + id.x];
    }
}
