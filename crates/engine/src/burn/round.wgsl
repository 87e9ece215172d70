// What the wire carries of every column at a cut; after gpu/wgsl/rounding.wgsl. One workgroup per column.
@group(0) @binding(0) var<storage, read_write> x: array<u32>;     // columns x WIDTH, bits of f32
@group(0) @binding(1) var<storage, read_write> out: array<u32>;   // the same; CubeCL may give both one buffer, so neither is read-only

const WIDTH = {{ width }}u;
const LANES = 64u;
const NONE = 0xffffffffu;
var<workgroup> parts: array<u32, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = group.x * WIDTH;
    var largest = 0u;
    for (var i = lane; i < WIDTH; i += LANES) {
        largest = max(largest, x[column + i] & MAGNITUDE);
    }
    parts[lane] = largest;
    workgroupBarrier();
    for (var other = 0u; other < LANES; other++) {
        largest = max(largest, parts[other]);
    }
    let e = scale_exponent(largest);
    for (var i = lane; i < WIDTH; i += LANES) {
        out[column + i] = rounded_bits(x[column + i], e);
    }
}
