// Causal softmax attention over the cache, grouped-query: a workgroup per head and column walks the cache in tiles of 64 columns
// from the first visible one on, with the running maximum and sum of online softmax (arXiv 1805.02867). With BLOCKS, every block of
// the cache has a workgroup of its own, and another kernel merges what they found (Flash-Decoding).
@group(1) @binding(0) var<uniform> shape: Attention;
@group(1) @binding(1) var<storage, read> q: array<f32>;                     // columns x q_stride
@group(1) @binding(2) var<storage, read> keys: array<f32>;                  // context x kv_width
@group(1) @binding(3) var<storage, read> values: array<f32>;                // context x kv_width
@group(1) @binding(4) var<storage, read_write> out: array<f32>;             // columns x out_stride, or what blocks found

const LANES = 64u;
const MAX_HEAD_DIM = 256u;
var<workgroup> scores: array<f32, LANES>;
var<workgroup> sums: array<f32, MAX_HEAD_DIM>;  // element d belongs to lane d % LANES

// How much a score falls per column of distance (ALiBi, arXiv 2108.12409).
fn slope(head: u32) -> f32 {
    let steps = select(2u * (head + 1u), 2u * (head - shape.alibi) + 1u, head >= shape.alibi);
    return exp2(-4.0 * f32(steps) / f32(shape.alibi));
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = call.first_column + group.y;
    let query = column * shape.q_stride + group.x * shape.head_dim;
    let kv_head = group.x / shape.heads_per_kv_head * shape.head_dim;
    let seen = call.position + column + 1u;
    let first = seen - min(seen, shape.window);
    var first_tile = first / LANES * LANES;
    var visible = seen;
    if BLOCKS {
        first_tile = max(first_tile, group.z * BLOCK);
        visible = min(visible, (group.z + 1u) * BLOCK);
    }
    var fall = 0.0;
    if shape.alibi != 0u {
        fall = slope(group.x);
    }
    for (var d = lane; d < shape.head_dim; d += LANES) {
        sums[d] = 0.0;
    }
    var largest = -3.4e38;
    var total = 0.0;
    for (var tile = first_tile; tile < visible; tile += LANES) {
        let width = min(LANES, visible - tile);
        if lane < width {
            let key = (tile + lane) * shape.kv_width + kv_head;
            var score = 0.0;
            for (var d = 0u; d < shape.head_dim; d++) {
                score += q[query + d] * keys[key + d];
            }
            scores[lane] = select(-3.4e38, score * shape.scale - fall * f32(seen - 1u - tile - lane), tile + lane >= first);
        }
        workgroupBarrier();
        var new_largest = largest;
        for (var i = 0u; i < width; i++) {
            new_largest = max(new_largest, scores[i]);
        }
        let shrink = exp(largest - new_largest);
        largest = new_largest;
        workgroupBarrier();
        if lane < width {
            scores[lane] = exp(scores[lane] - largest);
        }
        workgroupBarrier();
        total *= shrink;
        for (var i = 0u; i < width; i++) {
            total += scores[i];
        }
        for (var d = lane; d < shape.head_dim; d += LANES) {
            var sum = sums[d] * shrink;
            for (var i = 0u; i < width; i++) {
                sum += scores[i] * values[(tile + i) * shape.kv_width + kv_head + d];
            }
            sums[d] = sum;
        }
        workgroupBarrier();
    }
    if BLOCKS {
        let at = found_at(column, group.x, group.z);
        for (var d = lane; d < shape.head_dim; d += LANES) {
            out[at + d] = sums[d];
        }
        if lane == 0u {
            out[at + shape.head_dim] = largest;
            out[at + shape.head_dim + 1u] = total;
        }
    } else {
        let at = column * shape.out_stride + group.x * shape.head_dim;
        for (var d = lane; d < shape.head_dim; d += LANES) {
            out[at + d] = sums[d] / total;
        }
    }
}
