// out[column, row] = weight[row] . x[column], for adapters that are software: an invocation computes a row for COLUMNS columns, which is 1 or 8.
// No barrier, and every invocation of a workgroup reads the same x, which such adapters load once.
// A column's sum has one order, however many columns there are.
@group(1) @binding(2) var<storage, read> x: array<mat2x4<f32>>;             // columns x vec8s
@group(1) @binding(3) var<storage, read_write> out: array<f32>;             // columns x out_stride

fn dot8(w: mat2x4<f32>, at: u32) -> f32 {
    let x8 = x[at];
    return dot(w[0], x8[0]) + dot(w[1], x8[1]);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    // Beyond the last row, the last is computed again and not stored.
    let row = min(group.x * 64u + lane, matrix.rows - 1u);
    let first_column = call.first_column + group.y * COLUMNS;
    let columns = min(COLUMNS, call.columns - first_column);
    // Missing columns are computed like the last one, and not stored.
    let last = vec4(columns - 1u);
    let low_x = (first_column + min(vec4(0u, 1u, 2u, 3u), last)) * matrix.vec8s;
    let high_x = (first_column + min(vec4(4u, 5u, 6u, 7u), last)) * matrix.vec8s;
    var low = vec4<f32>();
    var high = vec4<f32>();
    for (var i = 0u; i < matrix.vec8s; i++) {
        let w = weight8(row, i);
        low.x += dot8(w, low_x.x + i);
        if COLUMNS > 1u {
            low.y += dot8(w, low_x.y + i);
            low.z += dot8(w, low_x.z + i);
            low.w += dot8(w, low_x.w + i);
        }
        if COLUMNS > 1u {
            high.x += dot8(w, high_x.x + i);
            high.y += dot8(w, high_x.y + i);
            high.z += dot8(w, high_x.z + i);
            high.w += dot8(w, high_x.w + i);
        }
    }
    if group.x * 64u + lane < matrix.rows {
        let at = first_column * matrix.out_stride + matrix.first_row + row;
        let sums = mat2x4(low, high);
        for (var column = 0u; column < columns; column++) {
            out[at + column * matrix.out_stride] = sums[column / 4u][column % 4u];
        }
    }
}
