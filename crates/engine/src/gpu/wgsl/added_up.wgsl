const LANES = 64u;
var<workgroup> parts: array<f32, LANES>;

// Sum of what every lane of a workgroup brings, in one order. Before it is asked again, all lanes must have its answer.
fn added_up(lane: u32, part: f32) -> f32 {
    parts[lane] = part;
    workgroupBarrier();
    var total = 0.0;
    for (var other = 0u; other < LANES; other++) {
        total += parts[other];
    }
    return total;
}

