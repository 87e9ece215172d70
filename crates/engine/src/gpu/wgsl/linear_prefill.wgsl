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
    // Beyond the last row or column, the last is computed again and not stored.
    let rows = min(vec4(row) + vec4(0u, 1u, 2u, 3u), vec4(matrix.rows - 1u));
    let columns = min(vec4(column) + vec4(0u, 1u, 2u, 3u), vec4(call.columns - 1u)) * matrix.vec8s;
    var sums = mat4x4<f32>();  // one column of the matrix per column of the call
    for (var i = 0u; i < matrix.vec8s; i++) {
        let w0 = weight8(rows.x, i);
        let w1 = weight8(rows.y, i);
        let w2 = weight8(rows.z, i);
        let w3 = weight8(rows.w, i);
        let x0 = x[columns.x + i];
        let x1 = x[columns.y + i];
        let x2 = x[columns.z + i];
        let x3 = x[columns.w + i];
        // The rows of a transposed matrix are four rows of the weight.
        sums += transpose(mat4x4(w0[0], w1[0], w2[0], w3[0])) * mat4x4(x0[0], x1[0], x2[0], x3[0]);
        sums += transpose(mat4x4(w0[1], w1[1], w2[1], w3[1])) * mat4x4(x0[1], x1[1], x2[1], x3[1]);
    }
    store(column, row, sums[0]);
    store(column + 1u, row, sums[1]);
    store(column + 2u, row, sums[2]);
    store(column + 3u, row, sums[3]);
}
