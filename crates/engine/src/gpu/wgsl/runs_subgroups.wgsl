const LANES = 64u;
const RUN = min(SUBGROUP_LANES, LANES);
var<workgroup> parts: array<f32, LANES>;

// The sum of what a run of lanes brings, added in the order of adapters without subgroups.
fn run_added(lane: u32, part: f32) -> f32 {
    var sum = part;
    for (var distance = 1u; distance < RUN; distance *= 2u) {
        sum += subgroupShuffleXor(sum, distance);
    }
    return sum;
}

// The largest of what a run of lanes brings.
fn run_largest(lane: u32, part: f32) -> f32 {
    var largest = part;
    for (var distance = 1u; distance < RUN; distance *= 2u) {
        largest = max(largest, subgroupShuffleXor(largest, distance));
    }
    return largest;
}
