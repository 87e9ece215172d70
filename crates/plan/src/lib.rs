//! Who runs which units: profiles, cost, linear programme, checked plans. Pure.

#![deny(clippy::indexing_slicing)]

mod bound;
mod capacity;
mod check;
mod completion;
mod cost;
mod error;

mod ground;

mod problem;
pub mod profile;
mod ring;
mod rounding;
mod solve;

#[cfg(test)]
extern crate self as plan;
#[cfg(test)]
#[path = "../tests/rooms/mod.rs"]
mod rooms;

pub use bound::{LowerBound, lower_bound};
pub use capacity::{Capacity, capacity};
pub use check::check;
pub use cost::{Cost, MemberBytes, StageCost, cost};
pub use error::PlanError;
pub use problem::{HopMatrix, Problem, Workload};
pub use profile::{EngineProfile, MemberId, PhoneProfile, Plan, Stage, UnitNeed};
pub use solve::solve;
