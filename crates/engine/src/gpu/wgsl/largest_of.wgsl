// The largest of what the lanes of a workgroup bring.
fn largest_of(lane: u32, part: f32) -> f32 {
    parts[lane] = part;
    workgroupBarrier();
    if lane % TOGETHER == 0u {
        let low = max(max(part, parts[lane + 1u]), max(parts[lane + 2u], parts[lane + 3u]));
        let high = max(max(parts[lane + 4u], parts[lane + 5u]), max(parts[lane + 6u], parts[lane + 7u]));
        parts[lane] = max(low, high);
    }
    workgroupBarrier();
    let low = max(max(parts[0], parts[8]), max(parts[16], parts[24]));
    let high = max(max(parts[32], parts[40]), max(parts[48], parts[56]));
    workgroupBarrier();
    return max(low, high);
}
