struct Attention {
    heads_per_kv_head: u32,
    head_dim: u32,
    q_stride: u32,    // elements per column in q
    out_stride: u32,  // elements per column in out
    kv_width: u32,    // kv_heads * head_dim
    scale: f32,       // multiplies q . k
    window: u32,      // columns that a column sees, itself included
    alibi: u32,       // the largest power of two that the heads contain; 0 where distance does not matter
    heads: u32,
    blocks: u32,      // of the whole context
}
// Cached columns that a workgroup walks where there are many: absolute, so that no sum depends on what runs with it.
const BLOCK = 64u;

// What a block found: the weighted sum of its values, its largest score, and the sum of its weights.
fn found_at(column: u32, head: u32, block: u32) -> u32 {
    return ((column * shape.heads + head) * shape.blocks + block) * (shape.head_dim + 2u);
}
