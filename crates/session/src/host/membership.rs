//! Who is in the room: coming, greeting, leaving, connections between peers.

use plan::{EngineProfile, MemberId};
use proto::Control;

use super::member::{Member, shown, shown_engines};
use super::{Host, MAX_MEMBERS};
use crate::error::SessionError;
use crate::pulse::Pulse;
use crate::seam::{Event, Output};

/// A connection to a member that was put out is closed so much later, ms.
const LINGER_MS: u64 = 500;
/// The members' view is told no more often than this.
const TELL_MS: u64 = 250;

impl Host {
    /// Both channels to a member are open; it speaks first.
    pub(super) fn on_connected(&mut self, member: MemberId) {
        let invited = member != MemberId::HOST && member.0 < self.next_member;
        if !invited || self.members.contains_key(&member) {
            if !invited {
                self.outbox.push(Output::Disconnect { member });
            }
            return;
        }
        if self.members.len() >= MAX_MEMBERS {
            let fault = SessionError::RoomFull { most: MAX_MEMBERS }.into();
            self.outbox
                .control(member, &Control::Failed { epoch: 0, fault });
            return;
        }
        self.members.insert(member, Member::connected(self.now_ms));
    }

    pub(super) fn on_hello(
        &mut self,
        from: MemberId,
        name: &str,
        budget_bytes: u64,
        metered: bool,
        client: Option<String>,
    ) {
        let client = client.map(|client| shown(&client));
        let crashes = client.as_ref().and_then(|client| self.crashes.get(client));
        let crashes = crashes.copied().unwrap_or(0);
        let others: Vec<MemberId> = self.greeted_peers().filter(|id| *id != from).collect();
        let Some(member) = self.members.get_mut(&from).filter(|member| !member.greeted) else {
            return self.expel(from, "it greeted twice");
        };
        member.greet(name, budget_bytes, client, crashes);
        member.metered = metered;
        let welcome = Control::Welcome {
            model: self.config.model.clone(),
            hidden_width: self.config.graph.hidden_width,
            class: self.config.class,
        };
        self.outbox.control(from, &welcome);
        for other in others {
            self.introduce(from, other);
        }
        self.tell_plan(from);
        self.changed = true;
        self.update_capacity();
    }

    /// Two peers connect to each other; the lower number makes the offer.
    fn introduce(&mut self, a: MemberId, b: MemberId) {
        for (to, member) in [(a, b), (b, a)] {
            let offer = to < member;
            self.outbox.control(to, &Control::Connect { member, offer });
        }
    }

    /// What runs on a member, and how fast; a phone with numbers the planner refuses runs nothing.
    pub(super) fn on_measured(&mut self, from: MemberId, engines: Vec<EngineProfile>) {
        let engines = shown_engines(engines);
        let usable = self.check_measured(from, &engines);
        let Some(member) = self.members.get_mut(&from) else {
            return;
        };
        member.engines = Some(match usable {
            Ok(()) => engines,
            Err(error) => {
                self.outbox.fail(error);
                Vec::new()
            }
        });
        self.changed = true;
        self.update_capacity();
        self.fulfil_wish();
    }

    /// Signalling of this page's own connections goes through the server, not through here; what is for a peer is passed on.
    pub(super) fn on_local_signal(&mut self, to: MemberId, payload: String) {
        self.relay_signal(MemberId::HOST, to, payload);
    }

    pub(super) fn relay_signal(&mut self, from: MemberId, to: MemberId, payload: String) {
        if to == MemberId::HOST {
            self.outbox.push(Output::RemoteSignal { from, payload });
        } else if self.members.contains_key(&to) {
            self.outbox
                .control(to, &Control::Signal { from, to, payload });
        }
    }

    /// A member said that it goes; others take over what it held.
    pub(super) fn part(&mut self, member: MemberId) {
        self.remove(member, SessionError::MemberLost { member });
    }

    /// A member is gone without a word. A tab that ends while it loads may have had too little memory: it gets less the next time.
    pub(super) fn lose(&mut self, member: MemberId) {
        let lost = self.members.get(&member);
        if let Some(client) = lost.and_then(|lost| lost.client.clone())
            && self.crashed_loading(member)
        {
            *self.crashes.entry(client).or_default() += 1;
        }
        self.part(member);
    }

    /// Whether a member that is lost now was ended by what it had to load. One that was silent before it was told died of something else.
    fn crashed_loading(&self, member: MemberId) -> bool {
        let placed = self.placed.as_ref();
        let pulse = self
            .members
            .get(&member)
            .and_then(|lost| lost.pulse.as_ref());
        placed.zip(pulse).is_some_and(|(placed, pulse)| {
            placed.loading.contains(&member)
                && !(pulse.is_silent(self.now_ms) && pulse.unheard_since(placed.told_ms))
        })
    }

    /// A member that breaks the rules is put out.
    pub(super) fn expel(&mut self, member: MemberId, detail: &'static str) {
        self.put_out(member, SessionError::Misbehaved { member, detail });
    }

    pub(super) fn put_out(&mut self, member: MemberId, error: SessionError) {
        let needed = self.needs(member);
        if self.members.contains_key(&member) {
            let fault = error.clone().into();
            let epoch = self.epoch;
            self.outbox
                .control(member, &Control::Failed { epoch, fault });
            // Until then it hears why.
            self.partings.push((self.now_ms + LINGER_MS, member));
        }
        if !needed {
            self.outbox.fail(error.clone());
        }
        self.remove(member, error);
    }

    fn remove(&mut self, member: MemberId, error: SessionError) {
        if member == MemberId::HOST || self.members.remove(&member).is_none() {
            return;
        }
        for other in self.members.values_mut() {
            other.round_trips.remove(&member);
        }
        self.drift.forget(member);
        self.overlapping.forget(member);
        self.move_without(member);
        self.forget_questions_of(member);
        if self.needs(member) {
            self.interrupt(error);
        }
        self.admit();
        self.changed = true;
        self.update_capacity();
        self.fulfil_wish();
    }

    fn needs(&self, member: MemberId) -> bool {
        self.placed
            .as_ref()
            .is_some_and(|placed| placed.ring.contains(member))
    }

    /// Connections of members that were put out end.
    pub(super) fn close_partings(&mut self) {
        let now_ms = self.now_ms;
        for (_, member) in self
            .partings
            .extract_if(.., |(due_ms, _)| *due_ms <= now_ms)
        {
            self.outbox.push(Output::Disconnect { member });
        }
    }

    pub(super) fn silent_members(&self) -> Vec<MemberId> {
        let silent = |pulse: &Pulse| pulse.is_silent(self.now_ms);
        let members = self.members.iter();
        members
            .filter(|(_, member)| member.pulse.as_ref().is_some_and(silent))
            .map(|(id, _)| *id)
            .collect()
    }

    pub(super) fn greeted_peers(&self) -> impl Iterator<Item = MemberId> {
        let peers = self.members.iter();
        peers
            .filter(|(id, member)| **id != MemberId::HOST && member.greeted)
            .map(|(id, _)| *id)
    }

    /// Tells page and peers who is here, when something changed and the last time was long enough ago.
    pub(super) fn tell_members(&mut self) {
        if !self.changed || self.now_ms < self.tell_due_ms {
            return;
        }
        self.changed = false;
        self.tell_due_ms = self.now_ms + TELL_MS;
        let ring = self.placed.as_ref().map(|placed| &placed.ring);
        let greeted = self.members.iter().filter(|(_, member)| member.greeted);
        let members: Vec<_> = greeted.map(|(id, member)| member.view(*id, ring)).collect();
        let peers: Vec<_> = self.greeted_peers().collect();
        let message = Control::Members {
            members: members.clone(),
        };
        for peer in peers {
            self.outbox.control(peer, &message);
        }
        self.outbox.event(Event::Members { members });
    }
}
