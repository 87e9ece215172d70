// out = x / sqrt(mean(x^2) + eps) * weight; a workgroup per column.
@group(1) @binding(2) var<storage, read> x: array<mat2x4<f32>>;             // columns x vec8s
@group(1) @binding(3) var<storage, read_write> out: array<mat2x4<f32>>;     // columns x vec8s

const LANES = 64u;
var<workgroup> parts: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = (call.first_column + group.y) * matrix.vec8s;
    var sum = 0.0;
    for (var i = lane; i < matrix.vec8s; i += LANES) {
        let x8 = x[column + i];
        sum += dot(x8[0], x8[0]) + dot(x8[1], x8[1]);
    }
    parts[lane] = sum;
    workgroupBarrier();
    var total = 0.0;
    for (var other = 0u; other < LANES; other++) {
        total += parts[other];
    }
    let inverse = 1.0 / sqrt(total / f32(matrix.cols) + matrix.eps);
    for (var i = lane; i < matrix.vec8s; i += LANES) {
        let x8 = x[column + i] * inverse;
        let w = weight8(0u, i);
        out[column + i] = mat2x4(x8[0] * w[0], x8[1] * w[1]);
    }
}
