// The largest of what the lanes of a workgroup bring.
fn largest_of(lane: u32, part: f32) -> f32 {
    var largest = run_largest(lane, part);
    if RUN == LANES {
        return largest;
    }
    if lane % RUN == 0u {
        parts[lane] = largest;
    }
    workgroupBarrier();
    for (var run = 0u; run < LANES; run += RUN) {
        largest = max(largest, parts[run]);
    }
    workgroupBarrier();
    return largest;
}
