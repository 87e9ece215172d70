//! Stand-ins with the signatures of `model::wire` and `model::segment`, until those are there; then this folder goes.

pub(crate) mod segment;
pub(crate) mod wire;
