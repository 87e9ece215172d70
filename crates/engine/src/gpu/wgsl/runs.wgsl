const LANES = 64u;
const RUN = 8u;
var<workgroup> parts: array<f32, LANES>;

// The sum of what a run of lanes brings, for its first one.
fn run_added(lane: u32, part: f32) -> f32 {
    parts[lane] = part;
    workgroupBarrier();
    if lane % RUN != 0u {
        return part;
    }
    let low = (part + parts[lane + 1u]) + (parts[lane + 2u] + parts[lane + 3u]);
    return low + ((parts[lane + 4u] + parts[lane + 5u]) + (parts[lane + 6u] + parts[lane + 7u]));
}

// The largest of what a run of lanes brings, for its first one.
fn run_largest(lane: u32, part: f32) -> f32 {
    parts[lane] = part;
    workgroupBarrier();
    if lane % RUN != 0u {
        return part;
    }
    let low = max(max(part, parts[lane + 1u]), max(parts[lane + 2u], parts[lane + 3u]));
    return max(low, max(max(parts[lane + 4u], parts[lane + 5u]), max(parts[lane + 6u], parts[lane + 7u])));
}
