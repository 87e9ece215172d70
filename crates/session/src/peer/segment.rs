//! The part of a plan that runs on a peer: frames in, forward calls, frames out.

use std::collections::{BTreeMap, VecDeque};

use plan::{MemberId, Plan, Stage};
use proto::{Fault, Frame};

use super::Link;
use crate::error::SessionError;
use crate::outbox::Outbox;
use crate::ring::{Pass, Ring};
use crate::seam::{Computed, JobId, JobInput};

pub(crate) struct Segment {
    pub ring: Ring,
    pub index: u16,
    pub stage: Stage,
    /// Frames that wait for the engine: at most the chunks of one prompt.
    waiting: VecDeque<Frame>,
    running: Option<(JobId, Pass)>,
    /// The running call's request ended: its result goes nowhere.
    abandoned: bool,
    /// Columns of the current request that entered, and the request.
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

    /// A checked frame of the current request; columns must follow each other, or go back.
    pub fn on_frame(&mut self, frame: Frame, outbox: &mut Outbox) -> Result<(), &'static str> {
        let header = &frame.header;
        let class = self.ring.plan.class;
        if self.waiting.len() as u64 > u64::from(class.context_columns / class.chunk_columns.max(1))
        {
            return Err("more frames than a prompt has");
        }
        let (request, columns) = self.cached;
        let cached = if request == header.request {
            columns
        } else {
            0
        };
        if header.position > cached {
            return Err("a frame that leaves a gap");
        }
        self.cached = (header.request, header.position + header.columns);
        self.waiting.push_back(frame);
        self.run_next(outbox)
    }

    /// One forward call at a time.
    fn run_next(&mut self, outbox: &mut Outbox) -> Result<(), &'static str> {
        if self.running.is_some() {
            return Ok(());
        }
        let Some(frame) = self.waiting.pop_front() else {
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
        if !self.abandoned {
            pass.timings.push(compute_ms as f32);
            if let Some((to, header, body)) = self.ring.forward(self.index, &pass, &values)? {
                let way = self.way_to(to, pass.request, links);
                outbox.frame(way, &header, &body)?;
            }
        }
        self.run_next(outbox).map_err(|detail| {
            SessionError::Misbehaved {
                member: self.stage.member,
                detail,
            }
            .into()
        })
    }
}
