//! Who runs which units: profiles, cost, linear programme, checked plans. Pure.

#![deny(clippy::indexing_slicing)]

mod bound;
mod capacity;
mod check;
mod cost;
mod drift;
mod error;
mod explain;
mod ground;
mod links;
mod migration;
mod neighbourhood;
mod overlap;
mod problem;
pub mod profile;
mod rebalance;
pub mod reference;
mod revisits;
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
pub use drift::{Drift, Ewma, HALF_LIFE_MS};
pub use error::PlanError;
pub use explain::{Alone, Explainer, Explanation, PhoneRole, Role, explain};
pub use links::HopMatrix;
pub use migration::{KvRoute, Migration, UnitMove, migration};
pub use problem::{Lap, Problem, Wishes, Workload};
pub use profile::{EngineProfile, Held, MemberId, PhoneProfile, Plan, Power, Stage, UnitNeed};
pub use rebalance::{Balancer, Decision, Move, Policy, Reason};
pub use solve::{priced, solve, solve_for_several};
