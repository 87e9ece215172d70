//! The part of a plan that runs on a peer: frames in, forward calls, frames out.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};

use model::NumericClass;
use plan::{MemberId, Plan, Stage};
use proto::{Control, Fault, Frame, Resume};

use super::Link;
use crate::error::SessionError;
use crate::history::{self, History};
use crate::outbox::Outbox;
use crate::ring::{Outgoing, Pass, Ring};
use crate::seam::{Computed, JobId, JobInput};

/// Frames of a whole context: chunks of a prompt, and generated columns as they are replayed.
fn most_frames(class: NumericClass) -> u64 {
    let columns = class
        .chunk_columns
        .clamp(1, NumericClass::MAX_DECODE_COLUMNS);
    u64::from(class.context_columns / columns) + 1
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
    waiting: VecDeque<Frame>,
    running: Option<(JobId, Pass)>,
    /// The running call's request ended: its result goes nowhere.
    abandoned: bool,
    /// Frames that came before this stage knew where it begins.
    early: Vec<Frame>,
    started: bool,
    /// Columns before this one are not sent on: the next stage has them.
    forward_from: (u32, u32),
    /// Request, and its columns that entered.
    cached: (u32, u32),
    /// Request and the member its frames are handed to: one way for a whole request keeps them in order.
    way: Option<(u32, MemberId)>,
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
            waiting: VecDeque::new(),
            running: None,
            abandoned: false,
            early: Vec::new(),
            started: false,
            forward_from: (0, 0),
            cached: (0, 0),
            way: None,
        })
    }

    pub fn is_running(&self, job: JobId) -> bool {
        self.running
            .as_ref()
            .is_some_and(|(running, _)| *running == job)
    }

    /// Drops what belongs to requests up to this one.
    pub fn forget_through(&mut self, request: u32) {
        self.waiting.retain(|frame| frame.header.request > request);
        if let Some((_, pass)) = &self.running {
            self.abandoned |= pass.request <= request;
        }
    }

    /// Whether the engine owes it an answer.
    pub fn runs(&self) -> bool {
        self.running.is_some()
    }

    /// Every stage is loaded: frames enter from where the answer being written goes on, or from the first of the next one.
    pub fn start(
        &mut self,
        resume: Option<Resume>,
        history: &History,
        links: &BTreeMap<MemberId, Link>,
        outbox: &mut Outbox,
    ) -> Result<Added, &'static str> {
        if self.started {
            return Err("a plan that begins twice");
        }
        self.started = true;
        if let Some(resume) = resume {
            let index = usize::from(self.index);
            let start = *resume.starts.get(index).ok_or("a plan without a start")?;
            self.cached = (resume.request, start.from);
            self.forward_from = (resume.request, history::forward_from(&resume, index));
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
        if !self.started {
            if self.early.len() as u64 > most_frames(self.ring.plan.class) {
                return Err("more frames than an answer has");
            }
            self.early.push(frame);
            return Ok(Added::Next);
        }
        if self.waiting.len() as u64 > most_frames(self.ring.plan.class) {
            return Err("more frames than an answer has");
        }
        let (request, columns) = self.cached;
        let cached = match request.cmp(&header.request) {
            Ordering::Less => 0,
            Ordering::Equal => columns,
            Ordering::Greater => return Ok(Added::Known),
        };
        let end = header.position + header.columns;
        match header.position {
            position if position > cached => Ok(Added::Gap),
            position if position == cached => {
                self.cached = (header.request, end);
                self.waiting.push_back(frame);
                Ok(Added::Next)
            }
            _ if end <= cached => Ok(Added::Known),
            _ => Err("columns that overlap those before"),
        }
    }

    /// One forward call at a time, of requests up to `begun_request`.
    pub fn run_next(
        &mut self,
        begun_request: u32,
        outbox: &mut Outbox,
    ) -> Result<(), &'static str> {
        if self.running.is_some() {
            return Ok(());
        }
        let frame = self
            .waiting
            .pop_front_if(|frame| frame.header.request <= begun_request);
        let Some(frame) = frame else {
            return Ok(());
        };
        let (pass, input) = self.ring.enter(&frame)?;
        self.run(pass, input, outbox)
    }

    fn run(
        &mut self,
        pass: Pass,
        input: JobInput,
        outbox: &mut Outbox,
    ) -> Result<(), &'static str> {
        let work = self
            .ring
            .job(self.index, &pass, input)
            .map_err(|_| "a frame for units that are not here")?;
        self.running = Some((outbox.compute(work), pass));
        self.abandoned = false;
        Ok(())
    }

    /// Straight to the next member, or to the host where there is no connection.
    fn way_to(&mut self, to: MemberId, request: u32, links: &BTreeMap<MemberId, Link>) -> MemberId {
        let begun = self.way.filter(|(known, _)| *known == request);
        let way = begun.map_or(to, |(_, way)| way);
        let way = if links.contains_key(&way) {
            way
        } else {
            MemberId::HOST
        };
        self.way = Some((request, way));
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
        let Some((_, mut pass)) = self.running.take() else {
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
        pass.timings.push(compute_ms as f32);
        let sent = self.ring.forward(self.index, &pass, &values)?;
        let on_the_way = self.index.saturating_add(1) < self.ring.last();
        let columns = sent.as_ref().filter(|_| on_the_way).map(Outgoing::columns);
        history.ran(&pass, self.stage.units.end, columns);
        let (request, from) = self.forward_from;
        let end = pass.position + pass.columns;
        let known = pass.request == request && end <= from;
        match sent.filter(|_| !known) {
            _ if self.abandoned => {}
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
