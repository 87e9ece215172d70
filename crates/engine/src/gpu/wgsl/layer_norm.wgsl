// out = (x - mean(x)) / sqrt(variance(x) + eps) * weight; a workgroup per column. The bias is added by another kernel.
@group(1) @binding(2) var<storage, read> x: array<f32>;                     // columns x out_stride
@group(1) @binding(3) var<storage, read_write> out: array<f32>;             // columns x out_stride

const LANES = 64u;
var<workgroup> parts: array<f32, LANES>;

// Sum of what every lane brings.
fn added_up(lane: u32, part: f32) -> f32 {
    parts[lane] = part;
    workgroupBarrier();
    var total = 0.0;
    for (var other = 0u; other < LANES; other++) {
        total += parts[other];
    }
    workgroupBarrier();
    return total;
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = (call.first_column + group.y) * matrix.out_stride;
    var sum = 0.0;
    for (var i = lane; i < matrix.cols; i += LANES) {
        sum += x[column + i];
    }
    let mean = added_up(lane, sum) / f32(matrix.cols);
    var squares = 0.0;
    for (var i = lane; i < matrix.cols; i += LANES) {
        squares += (x[column + i] - mean) * (x[column + i] - mean);
    }
    let inverse = 1.0 / sqrt(added_up(lane, squares) / f32(matrix.cols) + matrix.eps);
    for (var i = lane; i < matrix.cols; i += LANES) {
        out[column + i] = (x[column + i] - mean) * inverse * weight8(0u, i / 8u)[i / 4u % 2u][i % 4u];
    }
}
