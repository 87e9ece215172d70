//! What peers may say to the host.

use plan::MemberId;
use proto::{Control, ProtoError, Slice};

use super::Host;
use super::member::shown_fault;
use crate::asker::Asker;
use crate::error::SessionError;
use crate::seam::{Channel, Output};

impl Host {
    pub(super) fn on_received(&mut self, from: MemberId, channel: Channel, bytes: Vec<u8>) {
        let Some(member) = self.members.get_mut(&from) else {
            return;
        };
        if let Some(pulse) = &mut member.pulse {
            pulse.heard(self.now_ms);
        }
        let done = match channel {
            Channel::Control => Control::decode(&bytes)
                .map_err(SessionError::from)
                .map(|message| self.on_control(from, message)),
            Channel::Activation => self.on_slice(from, bytes),
        };
        if let Err(error) = done {
            self.put_out(from, error);
        }
    }

    fn on_control(&mut self, from: MemberId, message: Control) {
        let greeted = self.members.get(&from).is_some_and(|member| member.greeted);
        match message {
            Control::Ping { sent_ms } => self.outbox.control(from, &Control::Pong { sent_ms }),
            Control::Pong { sent_ms } => self.on_pong(from, sent_ms),
            Control::Bye => self.part(from),
            Control::Hello {
                name,
                budget_bytes,
                metered,
                client,
            } => self.on_hello(from, &name, budget_bytes, metered, client),
            _ if !greeted => self.expel(from, "it did not greet"),
            Control::Measured { engines } => self.on_measured(from, engines),
            Control::RoundTrips { ms } => self.on_round_trips(from, ms),
            Control::Hidden { hidden } => self.on_hidden(from, hidden),
            Control::Power { power } if power.is_sane() => self.on_power(from, power),
            Control::Power { .. } => self.expel(from, "its battery is more than full"),
            Control::Signal {
                from: maker,
                to,
                payload,
            } if maker == from && to != from => self.relay_signal(from, to, payload),
            Control::LoadProgress { epoch, progress } => self.on_progress(from, epoch, progress),
            Control::Prepared { epoch } => self.on_prepared(from, epoch),
            Control::Ask { question, payload } => self.on_asked(from, question, payload),
            Control::StopAnswer { question } => self.stop(Asker {
                member: from,
                question,
            }),
            Control::Passed {
                epoch,
                request,
                position,
            } => self.on_passed(epoch, request, position),
            Control::Loaded { epoch, held } => self.on_loaded(from, epoch, held),
            Control::Failed { epoch, fault } => {
                self.on_peer_failed(from, epoch, shown_fault(fault))
            }
            Control::Welcome { .. }
            | Control::Connect { .. }
            | Control::Signal { .. }
            | Control::Members { .. }
            | Control::Assign { .. }
            | Control::Prepare { .. }
            | Control::Ready { .. }
            | Control::BeginRequest { .. }
            | Control::Said { .. }
            | Control::Answered { .. }
            | Control::Refused { .. }
            | Control::EndRequest { .. } => self.expel(from, "only the host says that"),
        }
    }

    fn on_pong(&mut self, from: MemberId, sent_ms: u64) {
        let pulse = self
            .members
            .get_mut(&from)
            .and_then(|member| member.pulse.as_mut());
        let Some(pulse) = pulse else { return };
        let before = pulse.rtt_ms().map(f64::round);
        pulse.answered(self.now_ms, sent_ms);
        if pulse.rtt_ms().map(f64::round) != before {
            self.changed = true;
        }
    }

    fn on_round_trips(&mut self, from: MemberId, ms: Vec<(MemberId, f64)>) {
        let known: Vec<_> = ms
            .into_iter()
            .filter(|(id, ms)| self.members.contains_key(id) && (0.0..=60_000.0).contains(ms))
            .collect();
        let Some(member) = self.members.get_mut(&from) else {
            return;
        };
        let before = core::mem::replace(&mut member.round_trips, known.into_iter().collect());
        let mut lost: Vec<_> = before.into_keys().collect();
        lost.retain(|to| !member.round_trips.contains_key(to));
        for to in lost {
            self.on_link_lost(from, to);
        }
    }

    /// Frames on their way between two neighbours are gone; in the next plan the host relays. The other end will tell the same loss.
    fn on_link_lost(&mut self, from: MemberId, to: MemberId) {
        if let Some(other) = self.members.get_mut(&to) {
            other.round_trips.remove(&from);
        }
        let ring = self.placed.as_ref().map(|placed| &placed.ring);
        let stages = ring.map_or(&[][..], |ring| &ring.plan.stages);
        let mut pairs = stages.iter().zip(stages.iter().skip(1));
        let needed = pairs.any(|(first, second)| {
            let pair = (first.member, second.member);
            pair == (from, to) || pair == (to, from)
        });
        if needed && !self.answers.is_empty() {
            self.interrupt(SessionError::LinkLost { from, to });
        }
    }

    /// A slice of a frame: for the head, or for a stage its sender cannot reach itself.
    fn on_slice(&mut self, from: MemberId, bytes: Vec<u8>) -> Result<(), SessionError> {
        let slice = Slice::parse(&bytes)?;
        let header = slice.header;
        let Some(placed) = self.placed.as_ref() else {
            return Ok(());
        };
        let ring = &placed.ring;
        if header.epoch != ring.plan.epoch || self.is_stale(header.request) {
            return Ok(());
        }
        let misbehaved = |detail| SessionError::Misbehaved {
            member: from,
            detail,
        };
        if !ring.precedes(from, header.stage) {
            return Err(misbehaved("a frame that is not its own"));
        }
        ring.check(header.stage, &header).map_err(misbehaved)?;
        if header.stage != ring.last() {
            if let Some(to) = ring.stage(header.stage).map(|stage| stage.member) {
                self.outbox.push(Output::Send {
                    to,
                    channel: Channel::Activation,
                    bytes,
                });
            }
            return Ok(());
        }
        let most_bytes = ring.body_bytes(&header);
        let Some(member) = self.members.get_mut(&from) else {
            return Ok(());
        };
        match member.assembler.add(slice, most_bytes) {
            Ok(Some(frame)) => self.on_frame(from, &frame),
            Ok(None) => Ok(()),
            Err(ProtoError::Order) => {
                self.interrupt(SessionError::FrameLost { from });
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}
