// What a matrix is multiplied with. In vectors of four: as matrices of two, a driver may load them number by number.
@group(1) @binding(2) var<storage, read> x: array<vec4<f32>>;               // columns x 2 vec8s

fn x8(i: u32) -> mat2x4<f32> {
    return mat2x4(x[2u * i], x[2u * i + 1u]);
}
