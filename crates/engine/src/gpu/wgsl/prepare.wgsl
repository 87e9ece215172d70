// Columns, or their norm, as products read them: an invocation prepares two vectors of eight.
struct Shape {
    cols: u32,      // elements per column
    vec8s: u32,     // cols / 8, rounded up; what is missing is zero
    gain: u32,      // of the norm: where it begins, in vectors of four; or NONE: x enters as it is
    eps: f32,       // of the norm
    rounding: u32,  // first entry of the maxima by which x is rounded; or NONE
}
@group(1) @binding(0) var<uniform> shape: Shape;
@group(1) @binding(1) var<storage, read> vectors: array<vec4<f32>>;
@group(1) @binding(2) var<storage, read> maxima: array<u32>;
@group(1) @binding(3) var<storage, read> x: array<vec4<f32>>;               // columns x 2 vec8s
@group(1) @binding(4) var<storage, read_write> out: array<vec4<u32>>;       // columns x prepared_vec4s(vec8s)

fn rounding_of(column: u32) -> Rounding {
    if shape.rounding == NONE {
        return KEPT;
    }
    return rounding_to(maxima[shape.rounding + column]);
}

// The largest magnitude, bit by bit: what is no number is larger than any.
fn largest_of(eight: mat2x4<f32>) -> u32 {
    let four = max(bitcast<vec4<u32>>(eight[0]) & vec4(MAGNITUDE), bitcast<vec4<u32>>(eight[1]) & vec4(MAGNITUDE));
    let two = max(four.xy, four.zw);
    return max(two.x, two.y);
}

fn entering8(first_vec8: u32, i: u32, rounding: Rounding, inverse: f32) -> mat2x4<f32> {
    let at = 2u * (first_vec8 + i);
    let eight = mat2x4(rounded4(x[at], rounding), rounded4(x[at + 1u], rounding));
    if shape.gain == NONE {
        return eight;
    }
    let gain = shape.gain + 2u * i;
    return inverse * mat2x4(eight[0] * vectors[gain], eight[1] * vectors[gain + 1u]);
}

fn inverse_norm(lane: u32, first_vec8: u32, rounding: Rounding) -> f32 {
    var sum = 0.0;
    for (var i = lane; i < 2u * shape.vec8s; i += LANES) {
        let four = rounded4(x[2u * first_vec8 + i], rounding);
        sum += dot(four, four);
    }
    return 1.0 / sqrt(added_up(lane, sum) / f32(shape.cols) + shape.eps);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = call.first_column + group.y;
    let first_vec8 = column * shape.vec8s;
    let rounding = rounding_of(column);
    var inverse = 1.0;
    if shape.gain != NONE {
        inverse = inverse_norm(lane, first_vec8, rounding);
    }
    let i = 2u * (group.x * LANES + lane);
    if i >= shape.vec8s {
        return;
    }
    let to_at = column * prepared_vec4s(shape.vec8s);
    let first = prepared(entering8(first_vec8, i, rounding, inverse));
    out[to_at + i] = first.numbers;
    var scales = vec4(first.scale, first.sum, 0.0, 0.0);
    if i + 1u < shape.vec8s {
        let second = prepared(entering8(first_vec8, i + 1u, rounding, inverse));
        out[to_at + i + 1u] = second.numbers;
        scales = vec4(first.scale, first.sum, second.scale, second.sum);
    }
    out[to_at + shape.vec8s + i / 2u] = bitcast<vec4<u32>>(scales);
}
