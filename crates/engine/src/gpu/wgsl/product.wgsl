// Products of runs of rows with at most COLUMNS columns, which is 1 or 8: a row is read once and meets every column. A team of LANES
// shares four rows; a column's sums have one order, however many columns there are. A line with # stands for one line per column.
const TEAMS = 64u / LANES;

struct Column {
    at: u32,     // where it begins in x
    vec8s: u32,  // its vectors of eight
    rounding: Rounding,
}

// Of four rows and one column.
struct Sums {
    first: vec4<f32>,
    second: vec4<f32>,  // of the rows that are gated
    square: f32,        // of what enters
}

fn plus(a: Sums, b: Sums) -> Sums {
    return Sums(a.first + b.first, a.second + b.second, a.square + b.square);
}

fn met(sums: Sums, first: Rows8, second: Rows8, entering: X8, scaled: X8) -> Sums {
    var met = sums;
    met.first += times(first, scaled);
    if GATED {
        met.second += times(second, scaled);
    }
    met.square += square8(entering);
    return met;
}

// Eight elements of four rows meet every column.
fn meet(
    part: u32,
    rows4: u32,
    i: u32,
    columns: ptr<function, array<Column, COLUMNS>>,
    sums: ptr<function, array<Sums, COLUMNS>>,
) {
    let gain = gain8(i);
    let first = first8(part, rows4, i);
    let second = second8(rows4, i);
    { let x = entering8((*columns)[#], i); (*sums)[#] = met((*sums)[#], first, second, x, scaled8(x, gain)); }
}

@compute @workgroup_size(LANES, TEAMS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let part = part_of(group.x);
    let rows4 = (group.x - product.parts[part].first_group) * TEAMS + local.y;
    // Beyond the last rows, the last are computed again and not stored.
    let last4 = (product.parts[part].rows - 1u) / 4u;
    let held4 = min(rows4, last4);
    let vec8s = product.parts[part].vec8s;
    let first_column = call.first_column + group.y * COLUMNS;
    // Missing columns are computed like the last one, and not stored.
    let last = call.columns - 1u;
    var columns: array<Column, COLUMNS>;
    columns[#] = entering_column(min(first_column + #u, last), vec8s);
    var sums: array<Sums, COLUMNS>;
    var i = local.x;
    // Four at once, so that their loads are under way together.
    for (; COLUMNS == 1u && i + 3u * LANES < vec8s; i += 4u * LANES) {
        meet(part, held4, i, &columns, &sums);
        meet(part, held4, i + LANES, &columns, &sums);
        meet(part, held4, i + 2u * LANES, &columns, &sums);
        meet(part, held4, i + 3u * LANES, &columns, &sums);
    }
    for (; i < vec8s; i += LANES) {
        meet(part, held4, i, &columns, &sums);
    }
    let own = local.y * LANES + local.x;
    let is_first = local.x == 0u && rows4 <= last4;
    let all# = added_up(local.x, own, sums[#]);
    if is_first && first_column + #u <= last { leave(part, first_column + #u, 4u * rows4, all#, factor(all#.square, part)); }
}
