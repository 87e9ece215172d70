// Rotates pairs of the first rotary_dim elements of each head by the angles of the column.
struct Shape {
    width: u32,       // elements per column
    stride: u32,      // elements per column in memory
    head_dim: u32,
    rotary_dim: u32,
    halves: u32,      // 1 where element i rotates with i + rotary_dim / 2, 0 where 2i rotates with 2i + 1
}
@group(1) @binding(0) var<uniform> shape: Shape;
@group(1) @binding(1) var<storage, read> x: array<f32>;                     // columns x stride
@group(1) @binding(2) var<storage, read> cos_sin: array<vec2<f32>>;         // columns x rotary_dim / 2
@group(1) @binding(3) var<storage, read_write> out: array<f32>;             // columns x stride

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let column = call.first_column + id.y;
    if id.x >= shape.width || column >= call.columns {
        return;
    }
    let at = column * shape.stride + id.x;
    let element = id.x % shape.head_dim;
    if element >= shape.rotary_dim {
        out[at] = x[at];
        return;
    }
    let pair = pair_of(element);
    let angle = cos_sin[column * (shape.rotary_dim / 2u) + pair.index];
    if pair.is_second {
        out[at] = x[at - pair.distance] * angle.y + x[at] * angle.x;
    } else {
        out[at] = x[at] * angle.x - x[at + pair.distance] * angle.y;
    }
}
