//! Placements to compare with: everything tried, and the simple rules that others use. No room uses them.

use model::UnitRange;

use crate::cost;
use crate::error::PlanError;
use crate::ground::{Ground, Phone, Speed};
use crate::problem::Problem;
use crate::profile::Stage;

/// The best of all plans.
#[derive(Debug, Clone, PartialEq)]
pub struct BestOfAll {
    /// With the least objective.
    pub stages: Vec<Stage>,
    /// Its objective, ms.
    pub objective_ms: f64,
    /// Least ms per generated token of any plan.
    pub ms_per_token: f64,
    /// How many plans were compared.
    pub plans: u64,
}

/// Tries every subset of phones in every order with every split and engine: exponential, for rooms of a few phones and a few blocks.
/// `None` if nothing fits. Batteries that are low are not spared.
///
/// # Errors
/// The numbers cannot be used.
pub fn exhaustive(problem: &Problem) -> Result<Option<BestOfAll>, PlanError> {
    let ground = Ground::new(problem)?;
    let mut all = Everything {
        ground: &ground,
        best: None,
    };
    for host in &ground.host.speeds {
        all.start(host)?;
    }
    Ok(all.best)
}

struct Everything<'a> {
    ground: &'a Ground<'a>,
    best: Option<BestOfAll>,
}

impl Everything<'_> {
    fn start(&mut self, host: &Speed) -> Result<(), PlanError> {
        let ground = self.ground;
        let Some(host_bytes) = ground.host_block_bytes() else {
            return Ok(());
        };
        let stage = |start, end| Stage {
            member: ground.host.member,
            units: UnitRange { start, end },
            engine: host.engine,
        };
        let longest = ground.longest_from(1, host_bytes);
        if longest == ground.head() {
            self.compare(&[stage(0, ground.end)])?;
        }
        for end in ground.host_end_least()..=longest.min(ground.head().saturating_sub(1)) {
            let head = stage(ground.head(), ground.end);
            self.go_on(&mut vec![stage(0, end)], end, head)?;
        }
        Ok(())
    }

    /// Every continuation of these stages.
    fn go_on(
        &mut self,
        stages: &mut Vec<Stage>,
        placed: u32,
        head: Stage,
    ) -> Result<(), PlanError> {
        let ground = self.ground;
        if placed == ground.head() {
            stages.push(head);
            self.compare(stages)?;
            stages.pop();
            return Ok(());
        }
        for peer in &ground.peers {
            if stages.iter().any(|stage| stage.member == peer.member) {
                continue;
            }
            for speed in &peer.speeds {
                for end in placed + 1..=ground.longest_from(placed, peer.usable_bytes) {
                    stages.push(Stage {
                        member: peer.member,
                        units: UnitRange { start: placed, end },
                        engine: speed.engine,
                    });
                    self.go_on(stages, end, head)?;
                    stages.pop();
                }
            }
        }
        Ok(())
    }

    fn compare(&mut self, stages: &[Stage]) -> Result<(), PlanError> {
        let cost = cost::of_stages(self.ground, stages)?;
        let best = self.best.get_or_insert_with(|| BestOfAll {
            stages: stages.to_vec(),
            objective_ms: f64::INFINITY,
            ms_per_token: f64::INFINITY,
            plans: 0,
        });
        best.plans += 1;
        best.ms_per_token = best.ms_per_token.min(cost.ms_per_token);
        if cost.objective_ms < best.objective_ms {
            best.objective_ms = cost.objective_ms;
            best.stages = stages.to_vec();
        }
        Ok(())
    }
}

/// A simple rule. Phones come in the order of their numbers, except where the rule sorts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Everyone the same number of blocks.
    EqualSplit,
    /// Blocks in proportion to memory: exo's rule.
    MemoryProportional,
    /// The fastest phone takes as much as it can hold, then the next: Pooled's rule.
    FastestFirst,
}

/// The stages of a rule; whoever cannot hold its part leaves the rest to those after it. `None` if nothing fits that way.
///
/// # Errors
/// The numbers cannot be used.
pub fn by_rule(problem: &Problem, rule: Rule) -> Result<Option<Vec<Stage>>, PlanError> {
    let ground = Ground::new(problem)?;
    let blocks = f64::from(ground.head() - 1);
    let mut peers: Vec<&Phone> = ground.peers.iter().collect();
    let phones = || core::iter::once(&ground.host).chain(&ground.peers);
    let wants: Box<dyn Fn(&Phone) -> f64> = match rule {
        Rule::EqualSplit => {
            let count = phones().count() as f64;
            Box::new(move |_| blocks / count)
        }
        Rule::MemoryProportional => {
            let all: u64 = phones().map(|phone| phone.usable_bytes).sum();
            Box::new(move |phone| blocks * phone.usable_bytes as f64 / all.max(1) as f64)
        }
        Rule::FastestFirst => {
            peers.sort_by(|a, b| block_ms(a).total_cmp(&block_ms(b)));
            let faster = peers
                .iter()
                .filter(|peer| block_ms(peer) < block_ms(&ground.host));
            let faster_blocks = faster.fold(1, |placed, peer| {
                ground.longest_from(placed, peer.usable_bytes)
            });
            let left = f64::from(ground.head() - faster_blocks);
            let host = ground.host.member;
            Box::new(move |phone| if phone.member == host { left } else { blocks })
        }
    };
    let more = (0..ground.end)
        .find_map(|more| laid_out(&ground, &peers, |phone| wants(phone) + f64::from(more)));
    Ok(more)
}

/// One run after the other, each as long as wanted and possible.
fn laid_out(
    ground: &Ground,
    peers: &[&Phone],
    wants: impl Fn(&Phone) -> f64,
) -> Option<Vec<Stage>> {
    let host_bytes = ground.host_block_bytes()?;
    let head = ground.head();
    let mut wanted = 1.0;
    let mut run = |placed: u32, phone: &Phone, bytes: u64| {
        wanted += wants(phone);
        let end = (wanted.round() as u32).clamp(placed, head);
        end.min(ground.longest_from(placed, bytes))
    };
    let stage = |phone: &Phone, start, end| {
        let engine = fastest(phone)?.engine;
        Some(Stage {
            member: phone.member,
            units: UnitRange { start, end },
            engine,
        })
    };
    let mut placed = run(1, &ground.host, host_bytes);
    if placed == head {
        return Some(vec![stage(&ground.host, 0, ground.end)?]);
    }
    let mut stages = vec![stage(&ground.host, 0, placed)?];
    for peer in peers {
        let end = run(placed, peer, peer.usable_bytes);
        if end > placed {
            stages.push(stage(peer, placed, end)?);
            placed = end;
        }
    }
    stages.push(stage(&ground.host, head, ground.end)?);
    (placed == head && stages.len() > 2).then_some(stages)
}

fn fastest(phone: &Phone) -> Option<&Speed> {
    let ms = |speed: &&Speed| speed.lap.attention + speed.lap.mlp;
    phone.speeds.iter().min_by(|a, b| ms(a).total_cmp(&ms(b)))
}

/// ms of an attention and an MLP unit.
fn block_ms(phone: &Phone) -> f64 {
    fastest(phone).map_or(f64::INFINITY, |speed| speed.lap.attention + speed.lap.mlp)
}
