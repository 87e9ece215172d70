// Causal softmax attention over the cache, grouped-query: a workgroup per head and column walks the cache in tiles of 64 columns
// from the first visible one on, with the running maximum and sum of online softmax (arXiv 1805.02867). With BLOCKS, every block of
// the cache has a workgroup of its own, and another kernel merges what they found (Flash-Decoding).
@group(1) @binding(0) var<uniform> shape: Attention;
@group(1) @binding(1) var<storage, read> q: array<f32>;                     // columns x q_stride
@group(1) @binding(2) var<storage, read> keys: array<f32>;                  // context x kv_width
@group(1) @binding(3) var<storage, read> values: array<f32>;                // context x kv_width
@group(1) @binding(4) var<storage, read_write> out: array<f32>;             // columns x out_stride, or what blocks found

const MAX_HEAD_DIM = 256u;
var<workgroup> weights: array<f32, LANES>;
var<workgroup> sums: array<f32, MAX_HEAD_DIM>;  // element d belongs to lane d % LANES

// How much a score falls per column of distance (ALiBi, arXiv 2108.12409).
fn slope(head: u32) -> f32 {
    let steps = select(2u * (head + 1u), 2u * (head - shape.alibi) + 1u, head >= shape.alibi);
    return exp2(-4.0 * f32(steps) / f32(shape.alibi));
}

fn query4(at: u32) -> vec4<f32> {
    return vec4(q[at], q[at + 1u], q[at + 2u], q[at + 3u]);
}
fn key4(at: u32) -> vec4<f32> {
    return vec4(keys[at], keys[at + 1u], keys[at + 2u], keys[at + 3u]);
}

// Query . key, eight elements at once so that their loads are under way together.
fn similarity(query: u32, key: u32) -> f32 {
    var low = vec4<f32>();
    var high = vec4<f32>();
    var d = 0u;
    for (; d + 7u < shape.head_dim; d += 8u) {
        low += query4(query + d) * key4(key + d);
        high += query4(query + d + 4u) * key4(key + d + 4u);
    }
    let pairs = low + high;
    var sum = (pairs.x + pairs.y) + (pairs.z + pairs.w);
    for (; d < shape.head_dim; d++) {
        sum += q[query + d] * keys[key + d];
    }
    return sum;
}

// Four weighted values of one element; the weights of columns beyond the last are zero.
fn weighted4(tile: u32, i: u32, last: u32, element: u32) -> f32 {
    let at = min(vec4(tile + i) + vec4(0u, 1u, 2u, 3u), vec4(last)) * shape.kv_width + element;
    let low = weights[i] * values[at.x] + weights[i + 1u] * values[at.y];
    return low + (weights[i + 2u] * values[at.z] + weights[i + 3u] * values[at.w]);
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
        var score = -3.4e38;
        if lane < width && tile + lane >= first {
            let key = (tile + lane) * shape.kv_width + kv_head;
            score = similarity(query, key) * shape.scale - fall * f32(seen - 1u - tile - lane);
        }
        let new_largest = max(largest, largest_of(lane, score));
        let shrink = exp(largest - new_largest);
        largest = new_largest;
        let weight = select(0.0, exp(score - largest), lane < width);
        weights[lane] = weight;
        total = total * shrink + added_up(lane, weight);
        if RUN == LANES {
            // Nothing waited for the weights of the others yet.
            workgroupBarrier();
        }
        for (var d = lane; d < shape.head_dim; d += LANES) {
            var sum = sums[d] * shrink;
            for (var i = 0u; i < width; i += 8u) {
                sum += weighted4(tile, i, visible - 1u, kv_head + d) + weighted4(tile, i + 4u, visible - 1u, kv_head + d);
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
