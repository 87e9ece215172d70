// Four halves.
fn of_bits(bits: vec2<u32>) -> vec4<f16> {
    return bitcast<vec4<f16>>(bits);
}
