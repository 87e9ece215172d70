// out[column, row] = weight[row] . x[column], for adapters that are software: an invocation computes four rows for COLUMNS columns,
// which is 1 or 8. No barrier, and every invocation of a workgroup reads the same x, which such adapters load once.
// A column's sum has one order, however many columns there are. A line with # stands for one line per column.
@group(1) @binding(3) var<storage, read_write> out: array<f32>;             // columns x out_stride

const LANES = 16u;

fn store(column: u32, row: u32, sums: vec4<f32>) {
    if column < call.columns && row < matrix.rows {
        let at = (column - matrix.first_out * call.first_column) * matrix.out_stride + matrix.first_row + row;
        for (var i = 0u; i < min(4u, matrix.rows - row); i++) {
            out[at + i] = sums[i];
        }
    }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    // Beyond the last rows, the last are computed again and not stored.
    let rows4 = group.x * LANES + lane;
    let held4 = min(rows4, (matrix.rows - 1u) / 4u);
    let first_column = call.first_column + group.y * COLUMNS;
    // Missing columns are computed like the last one, and not stored.
    let last = call.columns - 1u;
    let at# = column_at(min(first_column + #u, last));
    var sums# = vec4<f32>();
    for (var i = 0u; i < matrix.vec8s; i++) {
        let w = rows8(held4, i);
        sums# += times(w, x8(at#, i));
    }
    store(first_column + #u, 4u * rows4, sums#);
}
