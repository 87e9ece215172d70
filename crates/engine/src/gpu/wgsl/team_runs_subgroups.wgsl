const RUN = min(SUBGROUP_LANES, LANES);
var<workgroup> parts: array<Sums, 64>;

fn of_other(own: Sums, distance: u32) -> Sums {
    var other: Sums;
    other.first = subgroupShuffleXor(own.first, distance);
    if GATED {
        other.second = subgroupShuffleXor(own.second, distance);
    }
    other.square = subgroupShuffleXor(own.square, distance);
    return other;
}

// What a run of lanes brings, added in the order of adapters without subgroups.
fn run_added(lane: u32, own: u32, brought: Sums) -> Sums {
    var sums = brought;
    for (var distance = 1u; distance < RUN; distance *= 2u) {
        sums = plus(sums, of_other(sums, distance));
    }
    return sums;
}
