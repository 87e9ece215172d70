// Four halves. naga's bitcast does not change the width of numbers.
fn of_bits(bits: vec2<u32>) -> vec4<f16> {
    return vec4<f16>(vec4(unpack2x16float(bits.x), unpack2x16float(bits.y)));
}
