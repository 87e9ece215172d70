// Sum of what every lane of a workgroup brings: neighbours are added first, then neighbouring runs of lanes.
fn added_up(lane: u32, part: f32) -> f32 {
    let of_run = run_added(lane, part);
    if RUN == LANES {
        return of_run;
    }
    if lane % RUN == 0u {
        parts[lane] = of_run;
    }
    workgroupBarrier();
    let run = RUN;
    var sum = parts[0] + parts[run];
    if RUN < 32u {
        sum += parts[2u * run] + parts[3u * run];
    }
    if RUN < 16u {
        sum += (parts[4u * run] + parts[5u * run]) + (parts[6u * run] + parts[7u * run]);
    }
    workgroupBarrier();
    return sum;
}
