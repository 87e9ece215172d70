// Attention from what its blocks found, in the order of the cache; a workgroup per head and column.
@group(1) @binding(0) var<uniform> shape: Attention;
@group(1) @binding(1) var<storage, read> found: array<f32>;
@group(1) @binding(2) var<storage, read_write> out: array<f32>;             // columns x out_stride

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = call.first_column + group.y;
    let visible = call.position + column + 1u;
    let first_block = (visible - min(visible, shape.window)) / BLOCK;
    let end_block = (visible + BLOCK - 1u) / BLOCK;
    var largest = -3.4e38;
    for (var block = first_block; block < end_block; block++) {
        largest = max(largest, found[found_at(column, group.x, block) + shape.head_dim]);
    }
    for (var d = lane; d < shape.head_dim; d += 64u) {
        var sum = 0.0;
        var total = 0.0;
        for (var block = first_block; block < end_block; block++) {
            let at = found_at(column, group.x, block);
            let share = exp(found[at + shape.head_dim] - largest);
            sum += share * found[at + d];
            total += share * found[at + shape.head_dim + 1u];
        }
        out[column * shape.out_stride + group.x * shape.head_dim + d] = sum / total;
    }
}
