// Eight neighbouring elements of four rows, for columns that are prepared.
struct Rows8 {
    low: vec4<u32>,
    high: vec4<u32>,
    scale: vec4<f32>,
    minimum: vec4<f32>,
}

fn prepared8(column_at: u32, vec8s: u32, i: u32) -> X8 {
    let two = bitcast<vec4<f32>>(x[column_at + vec8s + i / 2u]);
    let own = select(two.xy, two.zw, (i & 1u) == 1u);
    return X8(x[column_at + i], own.x, own.y);
}
