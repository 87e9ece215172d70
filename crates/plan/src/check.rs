//! The rules of a plan. Whoever made it, it passes here before it is used.

use std::collections::BTreeMap;

use model::EngineKind;

use crate::cost;
use crate::error::PlanError;
use crate::ground::Ground;
use crate::problem::Problem;
use crate::profile::{MemberId, Plan, Stage};

/// Every unit once and in order; ring from host to host, one segment per peer, the head alone behind the ring; one measured executor per
/// member; memory within budgets; class and predicted time as the problem says.
pub fn check(problem: &Problem, plan: &Plan) -> Result<(), PlanError> {
    let ground = Ground::new(problem)?;
    check_cover(&ground, &plan.stages)?;
    check_ring(&ground, &plan.stages)?;
    check_engines(&plan.stages)?;
    let cost = cost::of_stages(&ground, &plan.stages)?;
    for need in &cost.members {
        let budget_bytes = ground
            .phone(need.member)
            .map_or(0, |phone| phone.budget_bytes);
        if need.bytes > budget_bytes {
            return invalid(format!(
                "phone {} needs {} bytes and offers {budget_bytes}",
                need.member.0, need.bytes
            ));
        }
    }
    if plan.class != problem.class {
        return invalid("it is made for another numeric class".to_owned());
    }
    if plan.predicted_ms_per_token != cost.ms_per_token {
        return invalid("its predicted time is not what it costs".to_owned());
    }
    Ok(())
}

fn check_cover(ground: &Ground, stages: &[Stage]) -> Result<(), PlanError> {
    let mut covered = 0;
    for stage in stages {
        if stage.units.start != covered || stage.units.is_empty() {
            return invalid(format!(
                "unit {covered} is missing, out of order or in two stages"
            ));
        }
        covered = stage.units.end;
    }
    if covered != ground.end {
        return invalid(format!("it covers {covered} of {} units", ground.end));
    }
    Ok(())
}

fn check_ring(ground: &Ground, stages: &[Stage]) -> Result<(), PlanError> {
    let (first, middle) = match stages {
        [only] => (only, &[][..]),
        [first, middle @ .., last] => {
            if last.member != MemberId::HOST || last.units.start != ground.head() {
                return invalid("the last stage is not the head alone on the host".to_owned());
            }
            if middle.is_empty() {
                return invalid("the host has two stages and no phone between them".to_owned());
            }
            (first, middle)
        }
        [] => return invalid("it has no stages".to_owned()),
    };
    if first.member != MemberId::HOST {
        return invalid("the embedding is not on the host".to_owned());
    }
    let mut members: Vec<_> = middle.iter().map(|stage| stage.member).collect();
    members.push(MemberId::HOST);
    members.sort_unstable();
    if members
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a == b))
    {
        return invalid("a phone has two segments".to_owned());
    }
    Ok(())
}

fn check_engines(stages: &[Stage]) -> Result<(), PlanError> {
    let mut engines = BTreeMap::<MemberId, EngineKind>::new();
    for stage in stages {
        if *engines.entry(stage.member).or_insert(stage.engine) != stage.engine {
            return invalid(format!("phone {} has two engines", stage.member.0));
        }
    }
    Ok(())
}

fn invalid(detail: String) -> Result<(), PlanError> {
    Err(PlanError::Invalid { detail })
}
