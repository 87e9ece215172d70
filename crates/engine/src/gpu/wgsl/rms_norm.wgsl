// out = x / sqrt(mean(x^2) + eps) * gain; a workgroup per column.
struct Shape {
    cols: u32,   // elements per column
    vec4s: u32,  // elements per column in memory / 4
    gain: u32,   // where it begins, in vectors of four
    eps: f32,
}
@group(1) @binding(0) var<uniform> shape: Shape;
@group(1) @binding(1) var<storage, read> vectors: array<vec4<f32>>;
@group(1) @binding(2) var<storage, read> x: array<vec4<f32>>;               // columns x vec4s
@group(1) @binding(3) var<storage, read_write> out: array<vec4<f32>>;       // columns x vec4s

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = (call.first_column + group.y) * shape.vec4s;
    let vec4s = (shape.cols + 3u) / 4u;
    var sum = 0.0;
    for (var i = lane; i < vec4s; i += LANES) {
        sum += dot(x[column + i], x[column + i]);
    }
    let inverse = 1.0 / sqrt(added_up(lane, sum) / f32(shape.cols) + shape.eps);
    for (var i = lane; i < vec4s; i += LANES) {
        out[column + i] = x[column + i] * inverse * vectors[shape.gain + i];
    }
}
