//! A host whose page was loaded again: what it has to keep for that, and how the room comes together again.
//!
//! Guests notice that it is gone, look for it, and keep their weights in storage. The reloaded page waits for those that held a part of
//! the model, and gives everyone what it had: nothing is fetched, and an answer goes on behind the tokens that were shown.

use model::{EngineKind, UnitRange};
use plan::{MemberId, Stage};
use serde::{Deserialize, Serialize};

use super::Host;
use super::planning::Wish;

/// Guests that do not come back in this time are not waited for, ms: a heartbeat lost, the host found, the door passed.
const RETURN_MS: u64 = 10_000;

/// Requests that may be begun between two times that the page keeps something: every question that is asked is one.
const UNKEPT_REQUESTS: u32 = 1024;

/// What a host keeps of its room over a reload.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Requests behind this number were never begun: what guests still hold of others is not taken for theirs.
    request: u32,
    /// Numbers from this one on were given to nobody.
    next_member: u32,
    /// None before the first one was loaded.
    plan: Option<KeptPlan>,
}

/// The plan in force, or the one that is waited for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct KeptPlan {
    /// In ring order; none while the room is short of phones.
    places: Vec<Place>,
    /// Requests whose KV it held at the same time.
    slots: u32,
}

/// A stage of the plan, and whose it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Place {
    holder: Holder,
    units: UnitRange,
    engine: EngineKind,
}

/// Who held a stage. Numbers of members do not outlive the host's page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Holder {
    Host,
    /// The tab that called itself so.
    Guest(Option<String>),
}

/// The room that is to come together again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Return {
    plan: KeptPlan,
    until_ms: u64,
}

impl Host {
    /// What to keep now, so that [`crate::Command::Resume`] can bring it back. Worth asking for when a plan is ready, a member was given a
    /// number, a question was asked, and an answer got a token.
    pub fn kept(&self) -> Kept {
        Kept {
            request: self.request.saturating_add(UNKEPT_REQUESTS),
            next_member: self.next_member,
            plan: self.is_mending().then(|| self.kept_plan()),
        }
    }

    fn kept_plan(&self) -> KeptPlan {
        match (&self.placed, &self.wish) {
            (Some(placed), _) => {
                let plan = &placed.ring.plan;
                KeptPlan {
                    places: plan
                        .stages
                        .iter()
                        .map(|stage| self.place_of(stage))
                        .collect(),
                    slots: plan.slots,
                }
            }
            (None, Wish::Return(awaited)) => awaited.plan.clone(),
            _ => KeptPlan::default(),
        }
    }

    fn place_of(&self, stage: &Stage) -> Place {
        Place {
            holder: match self.members.get(&stage.member) {
                Some(member) if stage.member != MemberId::HOST => {
                    Holder::Guest(member.client.clone())
                }
                _ => Holder::Host,
            },
            units: stage.units,
            engine: stage.engine,
        }
    }

    /// The page was loaded again: the room is given what it had as soon as everyone is back.
    pub(super) fn resume_room(&mut self, kept: Kept) {
        self.request = self.request.max(kept.request);
        self.next_member = self.next_member.max(kept.next_member);
        let Some(plan) = kept.plan else { return };
        self.was_ready = true;
        self.wish = Wish::Return(Return {
            plan,
            until_ms: self.now_ms + RETURN_MS,
        });
        self.fulfil_wish();
    }

    /// Everyone is back, or was waited for long enough.
    pub(super) fn take_back(&mut self, awaited: &Return) {
        let KeptPlan { places, slots } = &awaited.plan;
        let stages: Option<Vec<Stage>> = places.iter().map(|place| self.stage(place)).collect();
        let stages = stages.filter(|stages| !stages.is_empty());
        let placed = stages.is_some_and(|stages| self.place_again(stages, *slots).is_ok());
        if placed {
            self.wish = Wish::Nothing;
        } else if self.now_ms >= awaited.until_ms {
            self.wish = Wish::Mend { told: None };
            self.fulfil_wish();
        }
    }

    /// When those who are not back are not waited for any more.
    pub(super) fn return_due_ms(&self) -> Option<u64> {
        match &self.wish {
            Wish::Return(awaited) => Some(awaited.until_ms),
            _ => None,
        }
    }

    /// The stage of whoever is back and measured.
    fn stage(&self, place: &Place) -> Option<Stage> {
        let holds = |id: MemberId, client: &Option<String>| match &place.holder {
            Holder::Host => id == MemberId::HOST,
            Holder::Guest(known) => id != MemberId::HOST && known.is_some() && known == client,
        };
        let mut back = self
            .members
            .iter()
            .filter(|(_, member)| member.engines.is_some());
        let (member, _) = back.find(|(id, member)| holds(**id, &member.client))?;
        Some(Stage {
            member: *member,
            units: place.units,
            engine: place.engine,
        })
    }
}
