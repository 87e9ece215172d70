// out[column, row] = weight[row] . x[column] for at most COLUMNS columns, which is 1 or 8: a row is read once and meets every column.
// Eight lanes share a row; a column's sum has one order, however many columns there are.
@group(1) @binding(2) var<storage, read> x: array<mat2x4<f32>>;             // columns x vec8s
@group(1) @binding(3) var<storage, read_write> out: array<f32>;             // columns x out_stride

const ROWS = 8u;
const LANES = 8u;
var<workgroup> parts: array<mat2x4<f32>, ROWS * LANES>;  // of columns 0..4 and 4..8

fn dot8(w: mat2x4<f32>, at: u32) -> f32 {
    let x8 = x[at];
    return dot(w[0], x8[0]) + dot(w[1], x8[1]);
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let row = group.x * ROWS + local.y;
    let first_column = call.first_column + group.y * COLUMNS;
    let columns = min(COLUMNS, call.columns - first_column);
    // Missing columns are computed like the last one, and not stored.
    let last = vec4(columns - 1u);
    let low_x = (first_column + min(vec4(0u, 1u, 2u, 3u), last)) * matrix.vec8s;
    let high_x = (first_column + min(vec4(4u, 5u, 6u, 7u), last)) * matrix.vec8s;
    var low = vec4<f32>();
    var high = vec4<f32>();
    if row < matrix.rows {
        for (var i = local.x; i < matrix.vec8s; i += LANES) {
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
    }
    let own = local.y * LANES;
    parts[own + local.x] = mat2x4(low, high);
    workgroupBarrier();
    // Lane c adds up column c.
    if row < matrix.rows && local.x < columns {
        var sum = 0.0;
        for (var lane = 0u; lane < LANES; lane++) {
            sum += parts[own + lane][local.x / 4u][local.x % 4u];
        }
        out[(first_column + local.x) * matrix.out_stride + matrix.first_row + row] = sum;
    }
}
