// out[column, row] = weight[row] . x[column]: an invocation computes 4 rows x 4 columns, a workgroup 32 x 32, so that a chunk
// of the usual size reads every weight once. SLICES invocations share the elements of a row: a GPU has more lanes than a small
// matrix has rows.
@group(1) @binding(3) var<storage, read_write> out: array<f32>;             // columns x out_stride

var<workgroup> slices: array<mat4x4<f32>, 64>;

fn store(column: u32, row: u32, sums: vec4<f32>) {
    if column < call.columns && row < matrix.rows {
        let at = (column - matrix.first_out * call.first_column) * matrix.out_stride + matrix.first_row + row;
        for (var i = 0u; i < min(4u, matrix.rows - row); i++) {
            out[at + i] = sums[i];
        }
    }
}

@compute @workgroup_size(8, 8, SLICES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let row = group.x * 32u + local.y * 4u;
    let column = call.first_column + group.y * 32u + local.x * 4u;
    // Beyond the last row or column, the last is computed again and not stored.
    let held4 = min(row, matrix.rows - 1u) / 4u;
    let last = call.columns - 1u;
    let at0 = column_at(min(column, last));
    let at1 = column_at(min(column + 1u, last));
    let at2 = column_at(min(column + 2u, last));
    let at3 = column_at(min(column + 3u, last));
    var sums = mat4x4<f32>();  // one column of the matrix per column of the call
    for (var i = local.z; i < matrix.vec8s; i += SLICES) {
        let w = rows8(held4, i);
        sums += mat4x4(
            times(w, x8(at0, i)),
            times(w, x8(at1, i)),
            times(w, x8(at2, i)),
            times(w, x8(at3, i)),
        );
    }
    let own = local.y * 8u + local.x;
    for (var slice = 1u; slice < SLICES; slice++) {
        if local.z == slice {
            slices[own] = sums;
        }
        workgroupBarrier();
        if local.z == 0u {
            sums += slices[own];
        }
        workgroupBarrier();
    }
    if local.z == 0u {
        store(column, row, sums[0]);
        store(column + 1u, row, sums[1]);
        store(column + 2u, row, sums[2]);
        store(column + 3u, row, sums[3]);
    }
}
