const LANES = 64u;
const TOGETHER = 8u;
var<workgroup> parts: array<f32, LANES>;

// Sum of what every lane of a workgroup brings, in one order.
fn added_up(lane: u32, part: f32) -> f32 {
    parts[lane] = part;
    workgroupBarrier();
    if lane % TOGETHER == 0u {
        let low = (part + parts[lane + 1u]) + (parts[lane + 2u] + parts[lane + 3u]);
        let high = (parts[lane + 4u] + parts[lane + 5u]) + (parts[lane + 6u] + parts[lane + 7u]);
        parts[lane] = low + high;
    }
    workgroupBarrier();
    let low = (parts[0] + parts[8]) + (parts[16] + parts[24]);
    let high = (parts[32] + parts[40]) + (parts[48] + parts[56]);
    workgroupBarrier();
    return low + high;
}
