// What all lanes of a team bring, for its first one: neighbours are added first, then neighbouring runs of lanes.
fn added_up(lane: u32, own: u32, brought: Sums) -> Sums {
    let of_run = run_added(lane, own, brought);
    if RUN >= LANES {
        return of_run;
    }
    if lane % RUN == 0u {
        parts[own] = of_run;
    }
    workgroupBarrier();
    if lane == 0u {
        for (var run = RUN; run < LANES; run *= 2u) {
            for (var at = own; at < own + LANES; at += 2u * run) {
                parts[at] = plus(parts[at], parts[at + run]);
            }
        }
    }
    let all = parts[own];
    workgroupBarrier();
    return all;
}
