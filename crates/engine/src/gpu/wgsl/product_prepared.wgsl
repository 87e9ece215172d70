// What enters was prepared before, and its norm was taken then.
fn entering_column(column: u32, vec8s: u32) -> Column {
    return Column(column * prepared_vec4s(vec8s), vec8s, KEPT);
}
fn entering8(column: Column, i: u32) -> X8 {
    return prepared8(column.at, column.vec8s, i);
}
