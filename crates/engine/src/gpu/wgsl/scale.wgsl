// out = x * factor.
struct Shape {
    vec4s: u32,  // elements per column / 4, rounded up
    factor: f32,
}
@group(1) @binding(0) var<uniform> shape: Shape;
@group(1) @binding(1) var<storage, read> x: array<vec4<f32>>;               // columns x vec4s
@group(1) @binding(2) var<storage, read_write> out: array<vec4<f32>>;       // columns x vec4s

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let column = call.first_column + id.y;
    if id.x < shape.vec4s && column < call.columns {
        let at = column * shape.vec4s + id.x;
        out[at] = shape.factor * x[at];
    }
}
