//! Who runs which units: profiles, cost, linear programme, checked plans. Pure.

#![deny(clippy::indexing_slicing)]

mod bound;
mod capacity;
mod check;
mod cost;
mod error;
mod ground;
mod links;
mod neighbourhood;
mod overlap;
mod problem;
pub mod profile;
mod search;
mod solve;
mod track;
mod walk;

#[cfg(test)]
extern crate self as plan;
#[cfg(test)]
#[path = "../tests/rooms/mod.rs"]
mod rooms;

pub use bound::{LowerBound, lower_bound};
pub use capacity::{Capacity, capacity};
pub use check::check;
pub use cost::{Cost, MemberCost, StageCost, cost};
pub use error::PlanError;
pub use links::HopMatrix;
pub use problem::{Lap, Problem, Wishes, Workload};
pub use profile::{EngineProfile, MemberId, PhoneProfile, Plan, Power, Stage, UnitNeed};
pub use solve::solve;
