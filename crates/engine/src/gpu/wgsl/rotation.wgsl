// Elements of a head that rotate together, as `shape` has it.
struct Pair {
    index: u32,      // of its angle
    distance: u32,   // from the first to the second
    is_second: bool,
}
fn pair_of(element: u32) -> Pair {
    if shape.halves != 0u {
        let half = shape.rotary_dim / 2u;
        return Pair(element % half, half, element >= half);
    }
    return Pair(element / 2u, 1u, (element & 1u) != 0u);
}

