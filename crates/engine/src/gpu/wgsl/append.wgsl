// Copies the keys and values of the call's columns into the cache.
struct Shape {
    width: u32,   // kv_heads * head_dim
    stride: u32,  // elements per column in k and v
}
@group(1) @binding(0) var<uniform> shape: Shape;
@group(1) @binding(1) var<storage, read> k: array<f32>;                     // columns x stride
@group(1) @binding(2) var<storage, read> v: array<f32>;                     // columns x stride
@group(1) @binding(3) var<storage, read_write> keys: array<f32>;            // context x width
@group(1) @binding(4) var<storage, read_write> values: array<f32>;          // context x width

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let column = call.first_column + id.y;
    if id.x >= shape.width || column >= call.columns {
        return;
    }
    let from_at = column * shape.stride + id.x;
    let to_at = (call.position + column) * shape.width + id.x;
    keys[to_at] = k[from_at];
    values[to_at] = v[from_at];
}
