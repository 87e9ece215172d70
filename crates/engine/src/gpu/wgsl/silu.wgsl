// x * sigmoid(x). Below -80 e^-x leaves f32, and the product is 0 to its last bit but one.
fn activation(x: vec4<f32>) -> vec4<f32> {
    return x / (1.0 + exp(min(-x, vec4(80.0))));
}
