//! What others may say to a peer.

use plan::MemberId;
use proto::{Control, ProtoError, Resume, Slice};

use super::segment::{Added, Segment};
use super::{Doing, Peer, RoomFacts};
use crate::error::SessionError;
use crate::seam::{Channel, Event, Job, Output};

impl Peer {
    pub(super) fn on_received(&mut self, from: MemberId, channel: Channel, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(&from) else {
            return;
        };
        link.pulse.heard(self.now_ms);
        let done = match channel {
            Channel::Control => Control::decode(bytes)
                .map_err(SessionError::from)
                .and_then(|message| self.on_control(from, message)),
            Channel::Activation => self.on_slice(from, bytes),
        };
        if let Err(error) = done {
            self.refuse(from, error);
        }
    }

    /// Whoever breaks the rules is not listened to any more.
    fn refuse(&mut self, from: MemberId, error: SessionError) {
        if from == MemberId::HOST {
            return self.end_for(error);
        }
        self.outbox.push(Output::Disconnect { member: from });
        // Without the frames of the one before, the answer cannot go on.
        let needed = |segment: &Segment| segment.ring.precedes(from, segment.index);
        match self.segment.as_ref().is_some_and(needed) {
            true => self.fail_plan(error),
            false => self.outbox.fail(error),
        }
        self.lose(from);
    }

    fn on_control(&mut self, from: MemberId, message: Control) -> Result<(), SessionError> {
        match message {
            Control::Ping { sent_ms } => self.outbox.control(from, &Control::Pong { sent_ms }),
            Control::Pong { sent_ms } => self.on_pong(from, sent_ms),
            Control::Bye if from == MemberId::HOST => {
                self.free();
                self.over = true;
                self.outbox.event(Event::Left);
            }
            Control::Bye => self.lose(from),
            message if from == MemberId::HOST => return self.on_host_said(message),
            _ => {
                return Err(SessionError::Misbehaved {
                    member: from,
                    detail: "only the host says that",
                });
            }
        }
        Ok(())
    }

    fn on_host_said(&mut self, message: Control) -> Result<(), SessionError> {
        match message {
            Control::Welcome {
                model,
                hidden_width,
                class,
            } if self.room.is_none() => {
                class.check()?;
                self.on_welcome(
                    model,
                    RoomFacts {
                        hidden_width,
                        class,
                    },
                );
            }
            Control::Connect { member, offer } => {
                if member != self.config.me && !self.links.contains_key(&member) {
                    self.outbox.push(Output::Connect { member, offer });
                }
            }
            Control::Signal { from, to, payload } if to == self.config.me => {
                self.outbox.push(Output::RemoteSignal { from, payload });
            }
            Control::Members { members } => self.outbox.event(Event::Members { members }),
            Control::Assign { plan, unit_kinds }
                if plan.epoch > self.epoch
                    && self
                        .room
                        .as_ref()
                        .is_some_and(|room| room.class == plan.class) =>
            {
                self.on_assign(plan, unit_kinds);
            }
            Control::Prepare { epoch, units } => {
                let job = self.outbox.compute(Job::Fetch { stages: units });
                self.jobs.insert(job, Doing::Fetch { epoch });
            }
            Control::Ready { epoch, resume } if epoch == self.epoch => {
                self.outbox.event(Event::Ready { epoch });
                return self.on_ready(resume);
            }
            Control::Ready { .. } => {}
            Control::BeginRequest { request, slot } => {
                self.begin_request(request, slot)?;
                return self.run_segment();
            }
            Control::EndRequest { request } => self.forget(request),
            Control::Said { question, id, text } => self.on_said(question, id, text),
            Control::Answered {
                question,
                rest,
                summary,
            } => self.on_answered(question, rest, summary),
            Control::Refused { question, fault } => self.on_refused(question, fault),
            Control::Failed { fault, .. } => self.end_for(fault),
            _ => {
                return Err(SessionError::Misbehaved {
                    member: MemberId::HOST,
                    detail: "a message that only peers send, or at the wrong time",
                });
            }
        }
        Ok(())
    }

    /// Every segment is loaded: what was kept and is needed again goes first, then whatever waits.
    fn on_ready(&mut self, resume: Vec<Resume>) -> Result<(), SessionError> {
        for request in core::mem::take(&mut self.live).into_keys() {
            if resume.iter().all(|resume| resume.request != request) {
                self.history.forget(request);
            }
        }
        for Resume { request, slot, .. } in &resume {
            self.begin_request(*request, *slot)?;
        }
        let Some(segment) = &mut self.segment else {
            return Ok(());
        };
        let started = segment.start(resume, &self.history, &self.links, &mut self.outbox);
        match started.map_err(|detail| SessionError::Misbehaved {
            member: MemberId::HOST,
            detail,
        })? {
            Added::Gap => self.on_frame_lost(MemberId::HOST),
            Added::Next | Added::Known => self.run_segment(),
        }
    }

    fn on_pong(&mut self, from: MemberId, sent_ms: u64) {
        let Some(link) = self.links.get_mut(&from) else {
            return;
        };
        let before = link.pulse.rtt_ms().map(f64::round);
        link.pulse.answered(self.now_ms, sent_ms);
        if from != MemberId::HOST && link.pulse.rtt_ms().map(f64::round) != before {
            self.tell_round_trips();
        }
    }

    fn begin_request(&mut self, request: u32, slot: u32) -> Result<(), SessionError> {
        let ring = self.segment.as_ref().map(|segment| &segment.ring);
        if ring.is_some_and(|ring| slot >= ring.plan.slots) {
            return Err(SessionError::Misbehaved {
                member: MemberId::HOST,
                detail: "a request in a slot that is not there",
            });
        }
        self.live.insert(request, slot);
        self.newest_request = self.newest_request.max(request);
        Ok(())
    }

    /// A request ended: its frames are stale.
    fn forget(&mut self, request: u32) {
        self.live.remove(&request);
        self.newest_request = self.newest_request.max(request);
        self.history.forget(request);
        if let Some(segment) = &mut self.segment {
            segment.forget(request);
        }
    }

    fn is_stale(&self, request: u32) -> bool {
        request <= self.newest_request && !self.live.contains_key(&request)
    }

    /// A slice of a frame, from the member before this one in the ring or from the host that relays it.
    fn on_slice(&mut self, from: MemberId, bytes: &[u8]) -> Result<(), SessionError> {
        let slice = Slice::parse(bytes)?;
        let header = slice.header;
        let stale = self.is_stale(header.request);
        let (Some(segment), Some(link)) = (&mut self.segment, self.links.get_mut(&from)) else {
            return Ok(());
        };
        let ring = &segment.ring;
        if header.epoch != ring.plan.epoch || stale {
            return Ok(());
        }
        let misbehaved = |detail| SessionError::Misbehaved {
            member: from,
            detail,
        };
        if from != MemberId::HOST && !ring.precedes(from, segment.index) {
            return Err(misbehaved("a frame that is not its own"));
        }
        ring.check(segment.index, &header).map_err(misbehaved)?;
        let most_bytes = ring.body_bytes(&header);
        let frame = match link.assembler.add(slice, most_bytes) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(()),
            Err(ProtoError::Order) => return self.on_frame_lost(from),
            Err(error) => return Err(error.into()),
        };
        match segment.add(frame).map_err(misbehaved)? {
            Added::Next => self.run_segment(),
            Added::Known => Ok(()),
            Added::Gap => self.on_frame_lost(from),
        }
    }

    /// Runs what waits for the engine and belongs to an announced request.
    pub(super) fn run_segment(&mut self) -> Result<(), SessionError> {
        let Some(segment) = &mut self.segment else {
            return Ok(());
        };
        let ran = segment.run_next(&self.live, &mut self.outbox);
        ran.map_err(|detail| SessionError::Misbehaved {
            member: self.config.me,
            detail,
        })
    }

    /// The answer goes on with a new plan, which every frame of this one is too old for.
    fn on_frame_lost(&mut self, from: MemberId) -> Result<(), SessionError> {
        self.fail_plan(SessionError::FrameLost { from });
        Ok(())
    }
}
