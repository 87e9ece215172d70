// out[column, row] = weight[row] . x[column]: an invocation computes 4 rows x 4 columns, a workgroup 32 x 32, so that a chunk
// of the usual size reads every weight once.
@group(1) @binding(2) var<storage, read> x: array<mat2x4<f32>>;             // columns x vec8s
@group(1) @binding(3) var<storage, read_write> out: array<f32>;             // columns x out_stride

fn store(column: u32, row: u32, sums: vec4<f32>) {
    if column < call.columns {
        let at = column * matrix.out_stride + matrix.first_row + row;
        for (var i = 0u; i < min(4u, matrix.rows - row); i++) {
            out[at + i] = sums[i];
        }
    }
}

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let row = group.x * 32u + local.y * 4u;
    let column = call.first_column + group.y * 32u + local.x * 4u;
    if row >= matrix.rows || column >= call.columns {
        return;
    }
    // Beyond the last column, the last is computed again and not stored.
    let columns = min(vec4(column) + vec4(0u, 1u, 2u, 3u), vec4(call.columns - 1u)) * matrix.vec8s;
    var sums0 = vec4<f32>();
    var sums1 = vec4<f32>();
    var sums2 = vec4<f32>();
    var sums3 = vec4<f32>();
    for (var i = 0u; i < matrix.vec8s; i++) {
        let w = rows8(row / 4u, i);
        sums0 += times(w, x[columns.x + i]);
        sums1 += times(w, x[columns.y + i]);
        sums2 += times(w, x[columns.z + i]);
        sums3 += times(w, x[columns.w + i]);
    }
    store(column, row, sums0);
    store(column + 1u, row, sums1);
    store(column + 2u, row, sums2);
    store(column + 3u, row, sums3);
}
