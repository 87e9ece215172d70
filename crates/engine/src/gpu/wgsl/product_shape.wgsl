struct Product {
    parts: array<Matrix, 3>,  // runs of rows, one after the other in the grid
    gain: u32,                // of the norm: where it begins, in vectors of four
    eps: f32,                 // of the norm
    rounding: u32,            // first entry of the maxima by which x (with a norm) or the residual is rounded; or NONE
    maxima: u32,              // first entry of the maxima of what is written; or NONE
}
@group(1) @binding(0) var<uniform> product: Product;

fn bias4(part: u32, row: u32) -> vec4<f32> {
    let bias = product.parts[part].bias;
    if bias == NONE {
        return vec4<f32>();
    }
    return vectors[bias + row / 4u];
}
