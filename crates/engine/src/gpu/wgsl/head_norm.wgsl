// out = x / sqrt(mean(x^2) + eps) * weight for every run of matrix.cols elements; a workgroup per head and column.
@group(1) @binding(2) var<storage, read> x: array<f32>;                     // columns x out_stride
@group(1) @binding(3) var<storage, read_write> out: array<f32>;             // columns x out_stride

const LANES = 64u;
var<workgroup> parts: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let head = (call.first_column + group.y) * matrix.out_stride + group.x * matrix.cols;
    var sum = 0.0;
    for (var i = lane; i < matrix.cols; i += LANES) {
        sum += x[head + i] * x[head + i];
    }
    parts[lane] = sum;
    workgroupBarrier();
    var total = 0.0;
    for (var other = 0u; other < LANES; other++) {
        total += parts[other];
    }
    let inverse = 1.0 / sqrt(total / f32(matrix.cols) + matrix.eps);
    for (var i = lane; i < matrix.cols; i += LANES) {
        out[head + i] = x[head + i] * inverse * weight8(0u, i / 8u)[i / 4u % 2u][i % 4u];
    }
}
