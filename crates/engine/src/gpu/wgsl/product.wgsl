// Products of runs of rows with at most COLUMNS columns, which is 1 or 8: a row is read once and meets every column. Sixteen lanes
// share four rows; a column's sums have one order, however many columns there are. A line with # stands for one line per column.
const LANES = 16u;
const TEAMS = 4u;
var<workgroup> sums: array<vec4<f32>, LANES * TEAMS * COLUMNS>;
var<workgroup> squares: array<f32, LANES * TEAMS * COLUMNS>;

// Eight elements of four rows.
struct Rows {
    a: mat2x4<f32>,
    b: mat2x4<f32>,
    c: mat2x4<f32>,
    d: mat2x4<f32>,
}

struct Column {
    at: u32,  // its first vector of eight in x
    rounding: Rounding,
}

fn dot8(w: mat2x4<f32>, x: mat2x4<f32>) -> f32 {
    return dot(w[0], x[0]) + dot(w[1], x[1]);
}

fn dots(w: Rows, x: mat2x4<f32>) -> vec4<f32> {
    return vec4(dot8(w.a, x), dot8(w.b, x), dot8(w.c, x), dot8(w.d, x));
}

@compute @workgroup_size(LANES, TEAMS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let part = part_of(group.x);
    let row = ((group.x - product.parts[part].first_group) * TEAMS + local.y) * ROWS;
    let vec8s = product.parts[part].vec8s;
    let first_column = call.first_column + group.y * COLUMNS;
    let columns = min(COLUMNS, call.columns - first_column);
    // Missing columns are computed like the last one, and not stored.
    let column# = entering_column(first_column + min(#u, columns - 1u), vec8s);
    var sums# = vec4<f32>();
    var squares# = 0.0;
    for (var i = local.x; i < vec8s; i += LANES) {
        let w = rows8(part, row, i);
        let gain = gain8(i);
        { let x = entering8(column#, i); squares# += square8(x); sums# += dots(w, scaled8(x, gain)); }
    }
    let own = (local.y * LANES + local.x) * COLUMNS;
    sums[own + #u] = sums#;
    squares[own + #u] = squares#;
    workgroupBarrier();
    // Lane c adds up column c.
    if local.x < columns && row < product.parts[part].rows {
        var sum = vec4<f32>();
        var square = 0.0;
        for (var lane = 0u; lane < LANES; lane++) {
            let other = (local.y * LANES + lane) * COLUMNS + local.x;
            sum += sums[other];
            square += squares[other];
        }
        leave(part, first_column + local.x, row, sum * factor(square, part));
    }
}
