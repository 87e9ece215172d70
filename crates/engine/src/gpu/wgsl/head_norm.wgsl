// out = x / sqrt(mean(x^2) + eps) * gain for every run of head_dim elements; a workgroup per head and column.
struct Shape {
    head_dim: u32,
    stride: u32,  // elements per column in memory
    gain: u32,    // where it begins, in vectors of four
    eps: f32,
}
@group(1) @binding(0) var<uniform> shape: Shape;
@group(1) @binding(1) var<storage, read> vectors: array<vec4<f32>>;
@group(1) @binding(2) var<storage, read> x: array<f32>;                     // columns x stride
@group(1) @binding(3) var<storage, read_write> out: array<f32>;             // columns x stride

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let head = (call.first_column + group.y) * shape.stride + group.x * shape.head_dim;
    var sum = 0.0;
    for (var i = lane; i < shape.head_dim; i += LANES) {
        sum += x[head + i] * x[head + i];
    }
    let inverse = 1.0 / sqrt(added_up(lane, sum) / f32(shape.head_dim) + shape.eps);
    for (var i = lane; i < shape.head_dim; i += LANES) {
        out[head + i] = x[head + i] * inverse * vectors[shape.gain + i / 4u][i % 4u];
    }
}
