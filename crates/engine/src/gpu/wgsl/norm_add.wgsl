// out = residual + x / sqrt(mean(x^2) + eps) * gain, rounded where a cut follows; a workgroup per column.
struct Shape {
    cols: u32,    // elements per column
    stride: u32,  // elements per column in memory
    gain: u32,    // where it begins, in vectors of four
    eps: f32,
    rounds: u32,  // 1 where a cut follows and the wire is narrower than f32
}
@group(1) @binding(0) var<uniform> shape: Shape;
@group(1) @binding(1) var<storage, read> vectors: array<vec4<f32>>;
@group(1) @binding(2) var<storage, read> x: array<f32>;                     // columns x stride
@group(1) @binding(3) var<storage, read> residual: array<f32>;              // columns x stride
@group(1) @binding(4) var<storage, read_write> out: array<f32>;             // columns x stride

var<workgroup> maxima: array<u32, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = (call.first_column + group.y) * shape.stride;
    var sum = 0.0;
    for (var i = lane; i < shape.cols; i += LANES) {
        sum += x[column + i] * x[column + i];
    }
    let inverse = 1.0 / sqrt(added_up(lane, sum) / f32(shape.cols) + shape.eps);
    var largest = 0u;
    for (var i = lane; i < shape.cols; i += LANES) {
        let y = residual[column + i] + x[column + i] * inverse * vectors[shape.gain + i / 4u][i % 4u];
        out[column + i] = y;
        largest = max(largest, bitcast<u32>(y) & MAGNITUDE);
    }
    if shape.rounds == 0u {
        return;
    }
    maxima[lane] = largest;
    workgroupBarrier();
    for (var other = 0u; other < LANES; other++) {
        largest = max(largest, maxima[other]);
    }
    let rounding = rounding_to(largest);
    for (var i = lane; i < shape.cols; i += LANES) {
        out[column + i] = rounded(out[column + i], rounding);
    }
}
