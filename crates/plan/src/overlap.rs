//! Stub until the overlap programme.
use model::UnitRange;
use crate::error::PlanError;
use crate::ground::Ground;
use crate::profile::Stage;

pub(crate) fn held(_ground: &Ground, stages: &[Stage]) -> Result<Vec<UnitRange>, PlanError> {
    Ok(stages.iter().map(|stage| stage.units).collect())
}
