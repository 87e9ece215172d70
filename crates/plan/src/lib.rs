//! Who runs which units: profiles, cost, linear programme, checked plans. Pure.

pub mod profile;

pub use profile::{EngineProfile, MemberId, Plan, PhoneProfile, Stage, UnitNeed};
