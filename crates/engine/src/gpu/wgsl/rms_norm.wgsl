// out = x / sqrt(mean(x^2) + eps) * weight; a workgroup per column.
@group(1) @binding(2) var<storage, read> x: array<vec4<f32>>;               // columns x vec4s
@group(1) @binding(3) var<storage, read_write> out: array<vec4<f32>>;       // columns x vec4s

const LANES = 64u;
var<workgroup> parts: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = (call.first_column + group.y) * matrix.vec4s;
    var sum = 0.0;
    for (var i = lane; i < matrix.vec4s; i += LANES) {
        sum += dot(x[column + i], x[column + i]);
    }
    parts[lane] = sum;
    workgroupBarrier();
    var total = 0.0;
    for (var other = 0u; other < LANES; other++) {
        total += parts[other];
    }
    let inverse = 1.0 / sqrt(total / f32(matrix.cols) + matrix.eps);
    for (var i = lane; i < matrix.vec4s; i += LANES) {
        out[column + i] = x[column + i] * inverse * weight4(0u, i);
    }
}
