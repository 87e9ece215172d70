// out[column, row] = weight[row] . x[column] for at most 8 columns: a row is read once and meets every column.
// Eight lanes share a row; a column's sum has one order, however many columns there are.
@group(1) @binding(2) var<storage, read> x: array<vec4<f32>>;               // columns x vec4s
@group(1) @binding(3) var<storage, read_write> out: array<f32>;             // columns x out_stride

const ROWS = 8u;
const LANES = 8u;
const COLUMNS = 8u;
var<workgroup> parts: array<f32, ROWS * LANES * COLUMNS>;

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let row = group.x * ROWS + local.y;
    let first_column = call.first_column + group.y * COLUMNS;
    let columns = min(COLUMNS, call.columns - first_column);
    let own = local.y * LANES + local.x;
    for (var column = 0u; column < columns; column++) {
        parts[column * ROWS * LANES + own] = 0.0;
    }
    if row < matrix.rows {
        for (var i = local.x; i < matrix.vec4s; i += LANES) {
            let w = weight4(row, i);
            for (var column = 0u; column < columns; column++) {
                parts[column * ROWS * LANES + own] += dot(w, x[(first_column + column) * matrix.vec4s + i]);
            }
        }
    }
    workgroupBarrier();
    // Lane c adds up column c.
    if row < matrix.rows && local.x < columns {
        var sum = 0.0;
        for (var lane = 0u; lane < LANES; lane++) {
            sum += parts[local.x * ROWS * LANES + local.y * LANES + lane];
        }
        out[(first_column + local.x) * matrix.out_stride + matrix.first_row + row] = sum;
    }
}
