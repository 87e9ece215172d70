// Heads as attention reads them: queries and keys normalised and rotated, keys and values appended to the cache. A workgroup per
// head and column; a column of `projected` has the heads of queries, then of keys, then of values.
struct Shape {
    heads: u32,
    kv_heads: u32,
    head_dim: u32,
    stride: u32,      // elements per column in projected
    rotary_dim: u32,  // elements of a head that rotate; 0 where none do
    halves: u32,      // 1 where element i rotates with i + rotary_dim / 2, 0 where 2i rotates with 2i + 1
    q_gain: u32,      // where it begins, in vectors of four; or NONE
    k_gain: u32,
    eps: f32,
}
@group(1) @binding(0) var<uniform> shape: Shape;
@group(1) @binding(1) var<storage, read_write> projected: array<f32>;       // columns x stride; queries change in place
@group(1) @binding(2) var<storage, read> vectors: array<vec4<f32>>;
@group(1) @binding(3) var<storage, read> cos_sin: array<vec2<f32>>;         // columns x rotary_dim / 2
@group(1) @binding(4) var<storage, read_write> keys: array<f32>;            // context x kv_heads * head_dim
@group(1) @binding(5) var<storage, read_write> values: array<f32>;          // context x kv_heads * head_dim

const MAX_HEAD_DIM = 256u;
var<workgroup> head: array<f32, MAX_HEAD_DIM>;

// Divided by its root mean square.
fn inverse_norm(lane: u32) -> f32 {
    var sum = 0.0;
    for (var i = lane; i < shape.head_dim; i += LANES) {
        sum += head[i] * head[i];
    }
    return 1.0 / sqrt(added_up(lane, sum) / f32(shape.head_dim) + shape.eps);
}

fn rotated(element: u32, column: u32) -> f32 {
    if element >= shape.rotary_dim {
        return head[element];
    }
    let pair = pair_of(element);
    let angle = cos_sin[column * (shape.rotary_dim / 2u) + pair.index];
    if pair.is_second {
        return head[element - pair.distance] * angle.y + head[element] * angle.x;
    }
    return head[element] * angle.x - head[element + pair.distance] * angle.y;
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = call.first_column + group.y;
    let from_at = column * shape.stride + group.x * shape.head_dim;
    let row = (call.position + column) * shape.kv_heads * shape.head_dim;
    let first_value = shape.heads + shape.kv_heads;
    if group.x >= first_value {
        let to_at = row + (group.x - first_value) * shape.head_dim;
        for (var i = lane; i < shape.head_dim; i += LANES) {
            values[to_at + i] = projected[from_at + i];
        }
        return;
    }
    for (var i = lane; i < shape.head_dim; i += LANES) {
        head[i] = projected[from_at + i];
    }
    workgroupBarrier();
    let is_key = group.x >= shape.heads;
    let gain = select(shape.q_gain, shape.k_gain, is_key);
    if gain != NONE {
        let inverse = inverse_norm(lane);
        for (var i = lane; i < shape.head_dim; i += LANES) {
            head[i] = head[i] * inverse * vectors[gain + i / 4u][i % 4u];
        }
        workgroupBarrier();
    }
    for (var i = lane; i < shape.head_dim; i += LANES) {
        let element = rotated(i, column);
        if is_key {
            keys[row + (group.x - shape.heads) * shape.head_dim + i] = element;
        } else {
            projected[from_at + i] = element;
        }
    }
}
