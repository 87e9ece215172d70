// No norm is taken of what enters.
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
