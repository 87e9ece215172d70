// What enters was prepared before, and its norm was taken then.
fn entering_column(column: u32, vec8s: u32) -> Column {
    return Column(column * prepared_vec4s(vec8s), vec8s, KEPT);
}
fn entering8(column: Column, i: u32) -> X8 {
    return prepared8(column.at, column.vec8s, i);
}
fn square8(x8: X8) -> f32 {
    return 0.0;
}
fn gain8(i: u32) -> f32 {
    return 1.0;
}
fn scaled8(x8: X8, gain: f32) -> X8 {
    return x8;
}
fn factor(squares: f32, part: u32) -> f32 {
    return 1.0;
}
