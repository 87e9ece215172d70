// Steps of 2^-14 of the power of two above the largest magnitude: 16 bits with a sign hold them.
fn prepared(eight: mat2x4<f32>) -> X8 {
    let largest = largest_of(eight);
    let exponent = max(largest >> 23u, 14u);
    let step = bitcast<f32>((exponent - 13u) << 23u);
    let steps = bitcast<f32>((267u - exponent) << 23u);
    let low = vec4<i32>(round(eight[0] * steps));
    let high = vec4<i32>(round(eight[1] * steps));
    // A byte with a sign takes what is below; what is left has whole steps of 256.
    let upper = vec2(pack4xI8((low + 128) >> vec4(8u)), pack4xI8((high + 128) >> vec4(8u)));
    let lower = vec2(pack4xI8(low), pack4xI8(high));
    let all = low + high;
    // What is no finite number stays none.
    let scale = select(step, bitcast<f32>(largest), exponent == 255u);
    return X8(vec4(upper, lower), scale, scale * f32((all.x + all.y) + (all.z + all.w)));
}
