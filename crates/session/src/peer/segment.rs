//! The part of a plan that runs on a peer: frames in, forward calls, frames out.

use std::collections::BTreeMap;

use model::NumericClass;
use plan::{MemberId, Plan, Problem, Stage};
use proto::{Control, Fault, Frame, Resume};

use super::Link;
use crate::error::SessionError;
use crate::history::{self, History};
use crate::outbox::Outbox;
use crate::ring::{Outgoing, Pass, Ring};
use crate::seam::{Computed, JobId};
use crate::turns::Turns;

/// Frames of a whole context in every slot: chunks of a prompt, and generated columns as they are replayed.
fn most_frames(plan: &Plan) -> u64 {
    let columns = plan
        .class
        .chunk_columns
        .clamp(1, NumericClass::MAX_DECODE_COLUMNS);
    let of_one = plan.class.context_columns / columns + 1;
    u64::from(of_one) * u64::from(plan.slots.clamp(1, Problem::MAX_SLOTS))
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    /// It waits for the engine.
    Next,
    /// Its columns came before.
    Known,
    /// Columns before it did not come.
    Gap,
}

pub(crate) struct Segment {
    pub ring: Ring,
    pub index: u16,
    pub stage: Stage,
    /// Frames that wait for the engine.
    waiting: Turns<Frame>,
    running: Option<Running>,
    /// The running call's request ended: its result goes nowhere.
    abandoned: bool,
    /// Frames that came before this stage knew where it begins.
    early: Vec<Frame>,
    started: bool,
    lanes: BTreeMap<u32, Lane>,
}

/// What the engine works on.
struct Running {
    job: JobId,
    slot: u32,
    pass: Pass,
}

/// What is known of one request.
#[derive(Debug, Default)]
struct Lane {
    /// Columns that entered.
    cached: u32,
    /// Columns before this one are not sent on: the next stage has them.
    forward_from: u32,
    /// The member its frames are handed to: one way for a whole request keeps them in order.
    way: Option<MemberId>,
}

impl Segment {
    /// `None` if the plan gives this member nothing.
    pub fn new(plan: &Plan, me: MemberId, hidden_width: u32) -> Option<Self> {
        let ring = Ring::new(plan.clone(), hidden_width);
        let index = ring.index_of(me)?;
        let stage = *ring.stage(index)?;
        Some(Self {
            ring,
            index,
            stage,
            waiting: Turns::default(),
            running: None,
            abandoned: false,
            early: Vec::new(),
            started: false,
            lanes: BTreeMap::new(),
        })
    }

    pub fn is_running(&self, job: JobId) -> bool {
        self.running
            .as_ref()
            .is_some_and(|running| running.job == job)
    }

    /// Drops what belongs to a request.
    pub fn forget(&mut self, request: u32) {
        self.waiting.forget(request);
        self.lanes.remove(&request);
        if let Some(running) = &self.running {
            self.abandoned |= running.pass.request == request;
        }
    }

    /// Whether the engine owes it an answer.
    pub fn runs(&self) -> bool {
        self.running.is_some()
    }

    /// Every stage is loaded: frames enter from where the answers being written go on, or from the first of the next one.
    pub fn start(
        &mut self,
        resume: Vec<Resume>,
        history: &History,
        links: &BTreeMap<MemberId, Link>,
        outbox: &mut Outbox,
    ) -> Result<Added, &'static str> {
        if self.started {
            return Err("a plan that begins twice");
        }
        self.started = true;
        for resume in resume {
            let index = usize::from(self.index);
            let start = *resume.starts.get(index).ok_or("a plan without a start")?;
            let lane = self.lanes.entry(resume.request).or_default();
            lane.cached = start.from;
            lane.forward_from = history::forward_from(&resume, index);
            if start.resend {
                let again = self.ring.again(self.index, &resume, history);
                for Outgoing {
                    to, header, body, ..
                } in again.ok_or("columns that were not kept")?
                {
                    let way = self.way_to(to, header.request, links);
                    outbox
                        .frame(way, &header, &body)
                        .map_err(|_| "columns that cannot be sent")?;
                }
            }
        }
        for frame in core::mem::take(&mut self.early) {
            if self.add(frame)? == Added::Gap {
                return Ok(Added::Gap);
            }
        }
        Ok(Added::Next)
    }

    /// A checked frame, to be run when its request was announced; columns must follow each other.
    pub fn add(&mut self, frame: Frame) -> Result<Added, &'static str> {
        let header = &frame.header;
        if (self.early.len() + self.waiting.len()) as u64 > most_frames(&self.ring.plan) {
            return Err("more frames than answers have");
        }
        if !self.started {
            self.early.push(frame);
            return Ok(Added::Next);
        }
        let lane = self.lanes.entry(header.request).or_default();
        let end = header.position + header.columns;
        match header.position {
            position if position > lane.cached => Ok(Added::Gap),
            position if position == lane.cached => {
                lane.cached = end;
                self.waiting.push(header.request, frame);
                Ok(Added::Next)
            }
            _ if end <= lane.cached => Ok(Added::Known),
            _ => Err("columns that overlap those before"),
        }
    }

    /// One forward call at a time, of the requests being answered, each with its slot.
    pub fn run_next(
        &mut self,
        live: &BTreeMap<u32, u32>,
        outbox: &mut Outbox,
    ) -> Result<(), &'static str> {
        if self.running.is_some() {
            return Ok(());
        }
        let next = self.waiting.next(|request| live.contains_key(&request));
        let Some((frame, slot)) =
            next.and_then(|frame| live.get(&frame.header.request).map(|slot| (frame, *slot)))
        else {
            return Ok(());
        };
        let (pass, input) = self.ring.enter(&frame)?;
        let work = self
            .ring
            .job(self.index, slot, &pass, input)
            .map_err(|_| "a frame for units that are not here")?;
        let job = outbox.compute(work);
        self.running = Some(Running { job, slot, pass });
        self.abandoned = false;
        Ok(())
    }

    /// Straight to the next member, or to the host where there is no connection.
    fn way_to(&mut self, to: MemberId, request: u32, links: &BTreeMap<MemberId, Link>) -> MemberId {
        let lane = self.lanes.entry(request).or_default();
        let way = lane.way.unwrap_or(to);
        let way = if links.contains_key(&way) {
            way
        } else {
            MemberId::HOST
        };
        lane.way = Some(way);
        way
    }

    /// The engine ran: the result goes straight to the next member, or through the host if there is no connection.
    pub fn on_ran(
        &mut self,
        result: Computed,
        history: &mut History,
        links: &BTreeMap<MemberId, Link>,
        outbox: &mut Outbox,
    ) -> Result<(), Fault> {
        let Some(Running { slot, mut pass, .. }) = self.running.take() else {
            return Ok(());
        };
        let (values, compute_ms) = match result {
            Computed::Ran { values, compute_ms } => (values, compute_ms),
            Computed::Failed(fault) => return Err(fault),
            _ => {
                return Err(SessionError::Engine {
                    detail: "an answer to another kind of job",
                }
                .into());
            }
        };
        if self.abandoned {
            return Ok(());
        }
        pass.timings.push(compute_ms as f32);
        let sent = self.ring.forward(self.index, &pass, &values)?;
        let on_the_way = self.index.saturating_add(1) < self.ring.last();
        let columns = sent.as_ref().filter(|_| on_the_way).map(Outgoing::columns);
        history.ran(&pass, slot, self.stage.units.end, columns);
        let lane = self.lanes.get(&pass.request);
        let end = pass.position + pass.columns;
        let known = lane.is_some_and(|lane| end <= lane.forward_from);
        match sent.filter(|_| !known) {
            Some(Outgoing {
                to, header, body, ..
            }) => {
                let way = self.way_to(to, pass.request, links);
                outbox.frame(way, &header, &body)?;
            }
            // It goes no further: one more may enter.
            None => outbox.control(
                MemberId::HOST,
                &Control::Passed {
                    epoch: self.ring.plan.epoch,
                    request: pass.request,
                    position: end,
                },
            ),
        }
        Ok(())
    }
}
