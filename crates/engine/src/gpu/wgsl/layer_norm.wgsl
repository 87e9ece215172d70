// out = (x - mean(x)) / sqrt(variance(x) + eps) * gain + bias; a workgroup per column.
struct Shape {
    cols: u32,    // elements per column
    stride: u32,  // elements per column in memory
    gain: u32,    // where it begins, in vectors of four
    eps: f32,
    bias: u32,    // where it begins, in vectors of four
}
@group(1) @binding(0) var<uniform> shape: Shape;
@group(1) @binding(1) var<storage, read> vectors: array<vec4<f32>>;
@group(1) @binding(2) var<storage, read> x: array<f32>;                     // columns x stride
@group(1) @binding(3) var<storage, read_write> out: array<f32>;             // columns x stride

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = (call.first_column + group.y) * shape.stride;
    var sum = 0.0;
    for (var i = lane; i < shape.cols; i += LANES) {
        sum += x[column + i];
    }
    let mean = added_up(lane, sum) / f32(shape.cols);
    var squares = 0.0;
    for (var i = lane; i < shape.cols; i += LANES) {
        squares += (x[column + i] - mean) * (x[column + i] - mean);
    }
    let inverse = 1.0 / sqrt(added_up(lane, squares) / f32(shape.cols) + shape.eps);
    for (var i = lane; i < shape.cols; i += LANES) {
        let gain = vectors[shape.gain + i / 4u][i % 4u];
        out[column + i] = (x[column + i] - mean) * inverse * gain + vectors[shape.bias + i / 4u][i % 4u];
    }
}
