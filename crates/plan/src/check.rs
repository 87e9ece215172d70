//! The rules of a plan. Whoever made it, it passes here before it is used.

use std::collections::BTreeMap;

use model::EngineKind;

use crate::cost;
use crate::error::PlanError;
use crate::ground::Ground;
use crate::problem::Problem;
use crate::profile::{Held, MemberId, Plan, Stage};

/// Every unit once and in order; ring from host to host, one segment per peer, the head alone behind the ring; first blocks with the host if
/// wished; one measured executor per member; what is held covers the stages, memory within budgets; class and predictions as the problem says.
pub fn check(problem: &Problem, plan: &Plan) -> Result<(), PlanError> {
    let ground = Ground::new(problem)?;
    check_cover(&ground, &plan.stages)?;
    check_ring(&ground, &plan.stages)?;
    check_engines(&plan.stages)?;
    let cost = cost::of_stages(&ground, &plan.stages)?;
    check_held(&ground, plan)?;
    if plan.class != problem.class {
        return invalid("it is made for another numeric class".to_owned());
    }
    if plan.slots != problem.slots {
        return invalid("it is made for another number of requests".to_owned());
    }
    let predictions = [
        (plan.predicted_ms_per_token, cost.ms_per_token),
        (plan.predicted_request_ms, cost.request_ms),
        (plan.objective_ms, cost.objective_ms),
    ];
    if predictions
        .iter()
        .any(|(predicted, costs)| predicted != costs)
    {
        return invalid("its predicted time is not what it costs".to_owned());
    }
    if plan.bytes_per_token != cost.bytes_per_token {
        return invalid("its predicted bytes are not what it sends".to_owned());
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
    let host_end = first.units.end;
    if host_end < ground.host_end_least() {
        return invalid(format!(
            "blocks up to {} stay with the host, and it has {host_end}",
            ground.host_end_least()
        ));
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

/// At most one run per phone, of blocks (on the host the embedding too), around its stage; all of it counts.
fn check_held(ground: &Ground, plan: &Plan) -> Result<(), PlanError> {
    let mut bytes = BTreeMap::<MemberId, u64>::new();
    for held in &plan.held {
        let (member, units) = (held.member, held.units);
        if bytes.insert(member, ground.bytes(units)).is_some() {
            return invalid(format!("phone {} holds two runs", member.0));
        }
        let blocks = match member == MemberId::HOST {
            true => 0..=ground.head(),
            false => 1..=ground.head(),
        };
        let whole = plan.stages.iter().any(|stage| stage.units == units);
        let within = blocks.contains(&units.start) && blocks.contains(&units.end);
        if units.is_empty() || !(within || whole) {
            return invalid(format!(
                "phone {} holds what is not a run of blocks",
                member.0
            ));
        }
    }
    for stage in &plan.stages {
        let (member, units) = (stage.member, stage.units);
        let covers = |held: &&Held| held.member == member && held.units.contains(units.start);
        match plan.held.iter().find(covers) {
            Some(held) if units.end <= held.units.end => {}
            None if units.start == ground.head() => {
                *bytes.entry(member).or_default() += ground.bytes(units);
            }
            _ => {
                return invalid(format!("phone {} does not hold what it runs", member.0));
            }
        }
    }
    for (member, bytes) in bytes {
        let bytes = bytes + ground.problem.scratch_bytes;
        let budget_bytes = ground.phone(member).map_or(0, |phone| phone.budget_bytes);
        if bytes > budget_bytes {
            return invalid(format!(
                "phone {} needs {bytes} bytes and offers {budget_bytes}",
                member.0
            ));
        }
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
