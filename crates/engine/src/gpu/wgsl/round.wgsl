// Rounds every column in place to what the wire carries.
struct Shape {
    width: u32,   // elements per column
    stride: u32,  // elements per column in memory
}
@group(1) @binding(0) var<uniform> shape: Shape;
@group(1) @binding(1) var<storage, read_write> x: array<u32>;               // columns x stride, bits of f32

const LANES = 64u;
var<workgroup> parts: array<u32, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = (call.first_column + group.y) * shape.stride;
    var largest = 0u;
    for (var i = lane; i < shape.width; i += LANES) {
        largest = max(largest, x[column + i] & MAGNITUDE);
    }
    parts[lane] = largest;
    workgroupBarrier();
    for (var other = 0u; other < LANES; other++) {
        largest = max(largest, parts[other]);
    }
    let e = scale_exponent(largest);
    for (var i = lane; i < shape.width; i += LANES) {
        x[column + i] = rounded_bits(x[column + i], e);
    }
}
