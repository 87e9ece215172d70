//! The cheapest ring of stages, exactly, for a given freedom of order: label setting over (units placed, phones used, last phone).
//!
//! A request costs a sum over stages and hops plus a multiple of the slowest stage, so a state keeps every partial ring that another one
//! does not beat in both.

use std::collections::BTreeMap;

use model::UnitRange;

use crate::cost;
use crate::error::PlanError;
use crate::ground::{Ground, PerKind, Phone, Speed};
use crate::profile::Stage;

/// Which phones may follow which.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Freedom<'a> {
    /// Every peer at most once, in any order: exponential in the number of peers.
    AnyOrder,
    /// Peers (indices) in this order; any of them may be left out.
    Order(&'a [usize]),
}

/// A ring and the request time it was found with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ring {
    pub request_ms: f64,
    pub stages: Vec<Stage>,
}

/// What decides how a partial ring may go on, besides the units placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// Bit i: peer i is used (any order only).
    used: u32,
    /// Rank of the next peer that may come (fixed order only).
    next_rank: usize,
    /// Peer that runs the last stage; `None` is the host.
    last: Option<usize>,
}

/// A partial ring.
#[derive(Debug, Clone, Copy)]
struct Label {
    /// Request ms of its stages and hops.
    spent_ms: f64,
    /// Slowest prefill stage.
    slowest_ms: f64,
    /// Its last stage, in the trail.
    step: usize,
}

struct Step {
    stage: Stage,
    before: Option<usize>,
}

/// The cheapest ring through at least one peer that costs less than `below_ms`.
pub(crate) fn cheapest(
    ground: &Ground,
    host: &Speed,
    freedom: Freedom,
    below_ms: f64,
) -> Result<Option<Ring>, PlanError> {
    let mut search = Search::new(ground, host, freedom, below_ms);
    search.start()?;
    for placed in 1..ground.head() {
        let Some(open) = search.open.get_mut(placed as usize).map(core::mem::take) else {
            break;
        };
        for (place, labels) in open {
            for label in labels {
                search.extend(placed, place, label)?;
            }
        }
    }
    search.finish()
}

struct Search<'a> {
    ground: &'a Ground<'a>,
    host: &'a Speed,
    freedom: Freedom<'a>,
    below_ms: f64,
    /// Request ms per unit on the fastest phone for its kind.
    fastest: PerKind,
    /// Request ms of the head stage on the host.
    head_ms: f64,
    /// Entry n: partial rings with n units placed.
    open: Vec<BTreeMap<Place, Vec<Label>>>,
    trail: Vec<Step>,
}

impl<'a> Search<'a> {
    fn new(ground: &'a Ground<'a>, host: &'a Speed, freedom: Freedom<'a>, below_ms: f64) -> Self {
        let head = UnitRange {
            start: ground.head(),
            end: ground.end,
        };
        Self {
            ground,
            host,
            freedom,
            below_ms,
            fastest: fastest_request_ms(ground),
            head_ms: stage_request_ms(ground, host, head),
            open: vec![BTreeMap::new(); ground.end as usize],
            trail: Vec::new(),
        }
    }

    /// The host's first stage, of every length.
    fn start(&mut self) -> Result<(), PlanError> {
        let longest = self
            .ground
            .host_block_bytes()
            .map_or(0, |bytes| self.ground.longest_from(1, bytes));
        let place = Place {
            used: 0,
            next_rank: 0,
            last: None,
        };
        for end in 1..=longest.min(self.ground.head() - 1) {
            let nothing = Label {
                spent_ms: 0.0,
                slowest_ms: 0.0,
                step: usize::MAX,
            };
            self.append(
                nothing,
                place,
                0.0,
                &self.ground.host,
                self.host,
                UnitRange { start: 0, end },
            );
        }
        Ok(())
    }

    /// Every next stage of a partial ring.
    fn extend(&mut self, placed: u32, place: Place, label: Label) -> Result<(), PlanError> {
        let ground = self.ground;
        let last = place
            .last
            .and_then(|peer| ground.peers.get(peer))
            .unwrap_or(&ground.host);
        for (peer_index, next) in self.followers(place) {
            let Some(peer) = ground.peers.get(peer_index) else {
                continue;
            };
            let hop_ms = ground.hop_ms(last.member, peer.member)?;
            let longest = ground.longest_from(placed, peer.usable_bytes);
            for speed in &peer.speeds {
                for end in placed + 1..=longest {
                    self.append(
                        label,
                        next,
                        hop_ms,
                        peer,
                        speed,
                        UnitRange { start: placed, end },
                    );
                }
            }
        }
        Ok(())
    }

    fn followers(&self, place: Place) -> Vec<(usize, Place)> {
        match self.freedom {
            Freedom::AnyOrder => (0..self.ground.peers.len())
                .filter(|&peer| place.used & (1 << peer) == 0)
                .map(|peer| {
                    let used = place.used | 1 << peer;
                    let last = Some(peer);
                    (
                        peer,
                        Place {
                            used,
                            last,
                            ..place
                        },
                    )
                })
                .collect(),
            Freedom::Order(order) => (place.next_rank..)
                .zip(order.get(place.next_rank..).unwrap_or_default())
                .map(|(rank, &peer)| {
                    let (next_rank, last) = (rank + 1, Some(peer));
                    (
                        peer,
                        Place {
                            next_rank,
                            last,
                            ..place
                        },
                    )
                })
                .collect(),
        }
    }

    /// Adds a stage unless the partial ring cannot become the cheapest.
    fn append(
        &mut self,
        label: Label,
        place: Place,
        hop_ms: f64,
        phone: &Phone,
        speed: &Speed,
        units: UnitRange,
    ) {
        let spent_ms = label.spent_ms
            + hop_request_ms(self.ground, hop_ms)
            + stage_request_ms(self.ground, speed, units);
        let slowest_ms = label
            .slowest_ms
            .max(cost::steady_chunk_ms(self.ground, speed, units));
        let rest = UnitRange {
            start: units.end,
            end: self.ground.head(),
        };
        let rest_ms = self.fastest.times(self.ground.counts(rest)) + self.head_ms;
        if request_ms(self.ground, spent_ms + rest_ms, slowest_ms) >= self.below_ms {
            return;
        }
        let Some(labels) = self
            .open
            .get_mut(units.end as usize)
            .map(|open| open.entry(place).or_default())
        else {
            return;
        };
        if labels
            .iter()
            .any(|other| other.spent_ms <= spent_ms && other.slowest_ms <= slowest_ms)
        {
            return;
        }
        labels.retain(|other| other.spent_ms < spent_ms || other.slowest_ms < slowest_ms);
        labels.push(Label {
            spent_ms,
            slowest_ms,
            step: self.trail.len(),
        });
        self.trail.push(Step {
            stage: Stage {
                member: phone.member,
                units,
                engine: speed.engine,
            },
            before: (label.step != usize::MAX).then_some(label.step),
        });
    }

    /// Closes every complete ring with the head on the host and keeps the cheapest.
    fn finish(mut self) -> Result<Option<Ring>, PlanError> {
        let complete = self.open.pop().unwrap_or_default();
        let mut best: Option<(f64, usize)> = None;
        for (place, labels) in complete {
            let Some(last) = place.last.and_then(|peer| self.ground.peers.get(peer)) else {
                continue;
            };
            let home_ms = hop_request_ms(
                self.ground,
                self.ground.hop_ms(last.member, self.ground.host.member)?,
            );
            for label in labels {
                let total_ms = request_ms(
                    self.ground,
                    label.spent_ms + home_ms + self.head_ms,
                    label.slowest_ms,
                );
                if total_ms < best.map_or(self.below_ms, |(best_ms, _)| best_ms) {
                    best = Some((total_ms, label.step));
                }
            }
        }
        Ok(best.map(|(request_ms, step)| Ring {
            request_ms,
            stages: self.stages_up_to(step),
        }))
    }

    fn stages_up_to(&self, step: usize) -> Vec<Stage> {
        let mut stages = vec![Stage {
            member: self.ground.host.member,
            units: UnitRange {
                start: self.ground.head(),
                end: self.ground.end,
            },
            engine: self.host.engine,
        }];
        let mut at = self.trail.get(step);
        while let Some(step) = at {
            stages.push(step.stage);
            at = step.before.and_then(|before| self.trail.get(before));
        }
        stages.reverse();
        stages
    }
}

/// What a stage adds to a request, besides being perhaps the slowest.
pub(crate) fn stage_request_ms(ground: &Ground, speed: &Speed, units: UnitRange) -> f64 {
    let output_tokens = f64::from(ground.problem.workload.output_tokens);
    output_tokens * cost::decode_ms(ground, speed, units) + cost::chunk_ms(ground, speed, units)
}

fn hop_request_ms(ground: &Ground, hop_ms: f64) -> f64 {
    (f64::from(ground.problem.workload.output_tokens) + 1.0) * hop_ms
}

fn request_ms(ground: &Ground, spent_ms: f64, slowest_ms: f64) -> f64 {
    spent_ms + f64::from(ground.chunks() - 1) * slowest_ms
}

/// Request ms of one unit of each kind on the phone that is fastest at it.
fn fastest_request_ms(ground: &Ground) -> PerKind {
    let output_tokens = f64::from(ground.problem.workload.output_tokens);
    let speeds = || {
        core::iter::once(&ground.host)
            .chain(&ground.peers)
            .flat_map(|phone| &phone.speeds)
    };
    let fastest = |of: fn(&PerKind) -> f64| {
        let each = speeds().map(|speed| output_tokens * of(&speed.decode) + of(&speed.chunk));
        each.fold(f64::INFINITY, f64::min)
    };
    PerKind {
        embedding: 0.0,
        attention: fastest(|ms| ms.attention),
        mlp: fastest(|ms| ms.mlp),
        head: 0.0,
    }
}
