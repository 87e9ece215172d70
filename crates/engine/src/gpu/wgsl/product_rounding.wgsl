// How a column that was written before is rounded when it is read.
fn rounding_of(column: u32) -> Rounding {
    if product.rounding == NONE {
        return KEPT;
    }
    return rounding_to(atomicLoad(&maxima[product.rounding + column]));
}
