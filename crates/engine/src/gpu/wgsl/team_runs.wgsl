const RUN = 8u;
var<workgroup> parts: array<Sums, 64>;

// What a run of lanes brings, for its first one.
fn run_added(lane: u32, own: u32, brought: Sums) -> Sums {
    parts[own] = brought;
    workgroupBarrier();
    if lane % RUN != 0u {
        return brought;
    }
    let low = plus(plus(brought, parts[own + 1u]), plus(parts[own + 2u], parts[own + 3u]));
    let high = plus(plus(parts[own + 4u], parts[own + 5u]), plus(parts[own + 6u], parts[own + 7u]));
    return plus(low, high);
}
