//! The cheapest ring of stages, exactly, for a given freedom of order: label setting over (units placed, phones used, last phone).
//!
//! A request costs a sum over stages and hops plus a multiple of the slowest stage, so a state keeps every partial ring that another one
//! does not beat in both.

use std::collections::BTreeMap;

use model::UnitRange;

use crate::completion::Completion;
use crate::cost;
use crate::error::PlanError;
use crate::ground::{Ground, Phone, Speed};
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

impl Place {
    /// Behind the host's first stage.
    const HOST: Self = Self {
        used: 0,
        next_rank: 0,
        last: None,
    };

    fn after_using(self, peer: usize) -> Self {
        Self {
            used: self.used | 1 << peer,
            last: Some(peer),
            ..self
        }
    }

    fn after_rank(self, rank: usize, peer: usize) -> Self {
        Self {
            next_rank: rank + 1,
            last: Some(peer),
            ..self
        }
    }
}

/// A partial ring.
#[derive(Debug, Clone, Copy)]
struct Label {
    /// Request ms of its stages and hops.
    spent_ms: f64,
    /// Slowest prefill stage.
    slowest_ms: f64,
    /// Its last stage, in the trail; `None` before the first.
    step: Option<usize>,
}

struct Step {
    stage: Stage,
    before: Option<usize>,
}

/// What stays the same while rings through one executor of the host are searched.
pub(crate) struct Track<'a> {
    pub ground: &'a Ground<'a>,
    pub host: &'a Speed,
    completion: Completion,
    /// Stages that may still be looked at, over all searches: planning ends in time on a phone, and after the same work everywhere.
    effort_left: u64,
}

impl<'a> Track<'a> {
    pub fn new(ground: &'a Ground<'a>, host: &'a Speed, effort: u64) -> Result<Self, PlanError> {
        Ok(Self {
            ground,
            host,
            completion: Completion::new(ground, host)?,
            effort_left: effort,
        })
    }

    /// The cheapest ring through at least one peer that costs less than `below_ms`; the cheapest found when this or the whole effort is
    /// used up.
    pub fn cheapest(
        &mut self,
        freedom: Freedom,
        below_ms: f64,
        effort: u64,
    ) -> Result<Option<Ring>, PlanError> {
        let effort = effort.min(self.effort_left);
        self.effort_left -= effort;
        let mut search = Search {
            open: vec![BTreeMap::new(); self.ground.end as usize],
            track: self,
            effort_left: effort,
            freedom,
            below_ms,
            trail: Vec::new(),
        };
        search.start();
        for placed in 1..search.track.ground.head() {
            let open = search.open.get_mut(placed as usize).map(core::mem::take);
            for (place, labels) in open.unwrap_or_default() {
                for label in labels {
                    search.extend(placed, place, label)?;
                }
            }
        }
        search.track.effort_left += search.effort_left;
        Ok(search.finish())
    }

    /// Whether searches may go on.
    pub fn has_effort(&self) -> bool {
        self.effort_left > 0
    }
}

struct Search<'t, 'a> {
    track: &'t mut Track<'a>,
    freedom: Freedom<'t>,
    below_ms: f64,
    effort_left: u64,
    /// Entry n: partial rings with n units placed.
    open: Vec<BTreeMap<Place, Vec<Label>>>,
    trail: Vec<Step>,
}

impl<'a> Search<'_, 'a> {
    /// The host's first stage, of every length that leaves a unit to a peer.
    fn start(&mut self) {
        let (ground, host) = (self.track.ground, self.track.host);
        let longest = ground
            .host_block_bytes()
            .map_or(0, |bytes| ground.longest_from(1, bytes));
        let nothing = Label {
            spent_ms: 0.0,
            slowest_ms: 0.0,
            step: None,
        };
        for end in 1..=longest.min(ground.head() - 1) {
            self.append(
                nothing,
                Place::HOST,
                &ground.host,
                host,
                UnitRange { start: 0, end },
            );
        }
    }

    /// Every next stage of a partial ring.
    fn extend(&mut self, placed: u32, place: Place, label: Label) -> Result<(), PlanError> {
        let ground = self.track.ground;
        let last = place
            .last
            .and_then(|peer| ground.peers.get(peer))
            .unwrap_or(&ground.host);
        for (peer, next) in self.followers(place) {
            let hop_ms = ground.hop_ms(last.member, peer.member)?;
            let entered = Label {
                spent_ms: label.spent_ms + hop_request_ms(ground, hop_ms),
                ..label
            };
            let longest = ground.longest_from(placed, peer.usable_bytes);
            for speed in &peer.speeds {
                for end in placed + 1..=longest {
                    self.append(entered, next, peer, speed, UnitRange { start: placed, end });
                }
            }
        }
        Ok(())
    }

    /// Peers that may come next, and the place in the ring they lead to.
    fn followers(&self, place: Place) -> Vec<(&'a Phone, Place)> {
        let peers = &self.track.ground.peers;
        match self.freedom {
            Freedom::AnyOrder => {
                let unused = peers
                    .iter()
                    .enumerate()
                    .filter(|(peer, _)| place.used & (1 << peer) == 0);
                let follow = |(peer, phone)| (phone, place.after_using(peer));
                unused.map(follow).collect()
            }
            Freedom::Order(order) => {
                let later = order.iter().enumerate().skip(place.next_rank);
                let follow = |(rank, &peer): (usize, &usize)| {
                    Some((peers.get(peer)?, place.after_rank(rank, peer)))
                };
                later.filter_map(follow).collect()
            }
        }
    }

    /// Adds a stage unless the partial ring cannot become the cheapest.
    fn append(
        &mut self,
        label: Label,
        place: Place,
        phone: &Phone,
        speed: &Speed,
        units: UnitRange,
    ) {
        let Some(effort_left) = self.effort_left.checked_sub(1) else {
            return;
        };
        self.effort_left = effort_left;
        let ground = self.track.ground;
        let spent_ms = label.spent_ms + stage_request_ms(ground, speed, units);
        let slowest_ms = label
            .slowest_ms
            .max(cost::steady_chunk_ms(ground, speed, units));
        let rest_ms = self.track.completion.ms(place.last, units.end);
        if request_ms(ground, spent_ms + rest_ms, slowest_ms) >= self.below_ms {
            return;
        }
        let Some(open) = self.open.get_mut(units.end as usize) else {
            return;
        };
        let labels = open.entry(place).or_default();
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
            step: Some(self.trail.len()),
        });
        self.trail.push(Step {
            stage: Stage {
                member: phone.member,
                units,
                engine: speed.engine,
            },
            before: label.step,
        });
    }

    /// Closes every complete ring with the head on the host and keeps the cheapest.
    fn finish(mut self) -> Option<Ring> {
        let ground = self.track.ground;
        let mut best: Option<(f64, Option<usize>)> = None;
        for (place, labels) in self.open.pop().unwrap_or_default() {
            let home_ms = self.track.completion.ms(place.last, ground.head());
            for label in labels {
                let total_ms = request_ms(ground, label.spent_ms + home_ms, label.slowest_ms);
                if total_ms < best.map_or(self.below_ms, |(best_ms, _)| best_ms) {
                    best = Some((total_ms, label.step));
                }
            }
        }
        best.map(|(request_ms, step)| Ring {
            request_ms,
            stages: self.stages_up_to(step),
        })
    }

    fn stages_up_to(&self, step: Option<usize>) -> Vec<Stage> {
        let ground = self.track.ground;
        let mut stages = vec![Stage {
            member: ground.host.member,
            units: UnitRange {
                start: ground.head(),
                end: ground.end,
            },
            engine: self.track.host.engine,
        }];
        let mut at = step;
        while let Some(step) = at.and_then(|at| self.trail.get(at)) {
            stages.push(step.stage);
            at = step.before;
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

/// What a hop adds to a request: once per generated token and once for the prompt.
pub(crate) fn hop_request_ms(ground: &Ground, hop_ms: f64) -> f64 {
    (f64::from(ground.problem.workload.output_tokens) + 1.0) * hop_ms
}

fn request_ms(ground: &Ground, spent_ms: f64, slowest_ms: f64) -> f64 {
    spent_ms + f64::from(ground.chunks() - 1) * slowest_ms
}
