// Reads everything and adds it up: how fast a kernel can read.
@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4<f32>>;      // one per workgroup

const LANES = 64u;

@compute @workgroup_size(LANES)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    let step = groups.x * LANES;
    var sum = vec4<f32>();
    for (var i = id.x; i < arrayLength(&source); i += step) {
        sum += source[i];
    }
    // Never so: what is read is zero. But the compiler must not know.
    if sum.x + sum.y + sum.z + sum.w != 0.0 {
        sums[group.x] = sum;
    }
}
