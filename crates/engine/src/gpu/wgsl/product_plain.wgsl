// What enters is x as it is.
fn entering_column(column: u32, vec8s: u32) -> Column {
    return Column(column * vec8s, vec8s, KEPT);
}
fn entering8(column: Column, i: u32) -> X8 {
    let at = 2u * (column.at + i);
    return X8(x[at], x[at + 1u]);
}
