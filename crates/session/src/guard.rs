//! The door of a session: a connection exists for it once both ends proved that they were invited, and not before.

use std::collections::{BTreeMap, VecDeque};

use door::{Credentials, DoorError, Fingerprints, Handshake, NONCE_BYTES, Step};
use plan::MemberId;
use proto::handshake::Handshake as Greeting;

use crate::host::Host;
use crate::peer::Peer;
use crate::seam::{Channel, Event, Fault, Input, Output};

/// An end that did not prove itself in this time never will.
const HANDSHAKE_MS: u64 = 5_000;
/// A refused connection is closed so much later, so that what was sent before arrives and the other end can say why.
const LINGER_MS: u64 = 500;

/// What a driver drives.
pub trait Session {
    /// This page's number in the room.
    fn me(&self) -> MemberId;
    /// Tells it something. `now_ms` never runs backwards.
    fn handle(&mut self, now_ms: u64, input: Input);
    /// What it wants done next.
    fn poll_output(&mut self) -> Option<Output>;
    /// When it wants to be told the time, ms.
    fn poll_timeout(&self) -> Option<u64>;
    /// It was in a room and looks for its host: one more failure to reach it is not the end.
    fn is_seeking(&self) -> bool {
        false
    }
}

impl Session for Host {
    fn me(&self) -> MemberId {
        MemberId::HOST
    }

    fn handle(&mut self, now_ms: u64, input: Input) {
        self.handle(now_ms, input);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.poll_output()
    }

    fn poll_timeout(&self) -> Option<u64> {
        self.poll_timeout()
    }
}

impl Session for Peer {
    fn me(&self) -> MemberId {
        self.me()
    }

    fn handle(&mut self, now_ms: u64, input: Input) {
        self.handle(now_ms, input);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.poll_output()
    }

    fn poll_timeout(&self) -> Option<u64> {
        self.poll_timeout()
    }

    fn is_seeking(&self) -> bool {
        self.is_seeking()
    }
}

impl Link {
    fn handshake(self) -> Option<Box<Handshake>> {
        match self {
            Self::Proving { handshake, .. } => Some(handshake),
            _ => None,
        }
    }
}

/// A session behind its door. Nothing reaches it from a connection that is not proven, and nothing of it leaves over one.
pub struct Guarded<S> {
    session: S,
    credentials: Credentials,
    links: BTreeMap<MemberId, Link>,
    outbox: VecDeque<Output>,
    over: bool,
}

enum Link {
    /// The other end's greeting came before this end was told of the connection.
    Early {
        greeting: Vec<u8>,
    },
    Proving {
        handshake: Box<Handshake>,
        due_ms: u64,
    },
    Open {
        /// The other end's last word of the handshake was overtaken and is still to come.
        unfinished: Option<Box<Handshake>>,
    },
    Refused {
        close_at_ms: u64,
    },
}

impl<S: Session> Guarded<S> {
    /// Puts a session behind a door that these credentials open.
    pub const fn new(session: S, credentials: Credentials) -> Self {
        Self {
            session,
            credentials,
            links: BTreeMap::new(),
            outbox: VecDeque::new(),
            over: false,
        }
    }

    /// The session itself, for what is not input.
    pub const fn session(&mut self) -> &mut S {
        &mut self.session
    }

    /// Both channels to a member opened; `fingerprints` are those of the connection, `nonce` was drawn for it.
    pub fn connected(
        &mut self,
        now_ms: u64,
        member: MemberId,
        fingerprints: Fingerprints,
        nonce: [u8; NONCE_BYTES],
    ) {
        if self.over {
            return;
        }
        let early = match self.links.remove(&member) {
            Some(Link::Early { greeting }) => Some(greeting),
            // A new connection takes the place of an old one.
            Some(Link::Open { .. }) => {
                self.session.handle(now_ms, Input::Disconnected { member });
                None
            }
            _ => None,
        };
        let (credentials, me) = (self.credentials.clone(), self.session.me());
        match Handshake::new(credentials, me, member, fingerprints, nonce) {
            Ok((handshake, greeting)) => {
                self.say(member, greeting);
                let handshake = Box::new(handshake);
                let due_ms = now_ms + HANDSHAKE_MS;
                self.links
                    .insert(member, Link::Proving { handshake, due_ms });
                if let Some(greeting) = early {
                    self.on_received(now_ms, member, Channel::Control, greeting);
                }
            }
            Err(error) => self.refuse(now_ms, member, error),
        }
    }

    /// Tells the session something; what comes from connections only if they are proven. [`Input::Connected`] is for
    /// [`Guarded::connected`] to give.
    pub fn handle(&mut self, now_ms: u64, input: Input) {
        if self.over {
            return;
        }
        match input {
            Input::Connected { .. } => {}
            Input::Disconnected { member } => self.on_disconnected(now_ms, member),
            Input::Received {
                from,
                channel,
                bytes,
            } => self.on_received(now_ms, from, channel, bytes),
            input => self.session.handle(now_ms, input),
        }
        self.keep_time(now_ms);
    }

    /// What door and session want done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(output) = self.outbox.pop_front() {
            return Some(output);
        }
        loop {
            match self.session.poll_output()? {
                Output::Send { to, .. } if !self.is_open(to) => {}
                Output::Disconnect { member } => {
                    self.links.remove(&member);
                    return Some(Output::Disconnect { member });
                }
                output => return Some(output),
            }
        }
    }

    /// When door or session want to be told the time, ms.
    pub fn poll_timeout(&self) -> Option<u64> {
        if self.over {
            return None;
        }
        let due = self.links.values().filter_map(|link| match link {
            Link::Proving { due_ms, .. } => Some(*due_ms),
            Link::Refused { close_at_ms } => Some(*close_at_ms),
            Link::Early { .. } | Link::Open { .. } => None,
        });
        due.chain(self.session.poll_timeout()).min()
    }

    fn on_received(&mut self, now_ms: u64, from: MemberId, channel: Channel, bytes: Vec<u8>) {
        let Some(link) = self.links.get_mut(&from) else {
            return self.keep_early(from, channel, bytes);
        };
        let handshake = match (link, channel) {
            // Nobody says more than a greeting before it is greeted.
            (Link::Early { .. } | Link::Refused { .. }, _) => return,
            (Link::Proving { handshake, .. }, Channel::Control) => handshake,
            // Channels overtake each other: whoever sends this found our proof good.
            (Link::Proving { handshake, .. }, Channel::Activation) if handshake.is_convinced() => {
                let unfinished = self.links.remove(&from).and_then(Link::handshake);
                self.open(now_ms, from, unfinished);
                return self.deliver(now_ms, from, channel, bytes);
            }
            (Link::Proving { .. }, Channel::Activation) => {
                return self.refuse(now_ms, from, DoorError::OutOfTurn);
            }
            (
                Link::Open {
                    unfinished: Some(handshake),
                },
                Channel::Control,
            ) => handshake,
            (Link::Open { .. }, _) => return self.deliver(now_ms, from, channel, bytes),
        };
        let step = handshake.receive(&bytes);
        self.on_step(now_ms, from, step);
    }

    fn deliver(&mut self, now_ms: u64, from: MemberId, channel: Channel, bytes: Vec<u8>) {
        let input = Input::Received {
            from,
            channel,
            bytes,
        };
        self.session.handle(now_ms, input);
    }

    fn keep_early(&mut self, from: MemberId, channel: Channel, greeting: Vec<u8>) {
        // What is no greeting was said on a connection that is gone.
        if channel == Channel::Control && Greeting::decode(&greeting).is_ok() {
            self.links.insert(from, Link::Early { greeting });
        }
    }

    fn on_step(&mut self, now_ms: u64, from: MemberId, step: Result<Step, DoorError>) {
        match step {
            Ok(Step { send, open }) => {
                if let Some(bytes) = send {
                    self.say(from, bytes);
                }
                if open {
                    self.open(now_ms, from, None);
                }
            }
            Err(error) => self.refuse(now_ms, from, error),
        }
    }

    /// The session hears of a connection once.
    fn open(&mut self, now_ms: u64, member: MemberId, unfinished: Option<Box<Handshake>>) {
        let before = self.links.insert(member, Link::Open { unfinished });
        if !matches!(before, Some(Link::Open { .. })) {
            self.outbox.push_back(Output::Proven { member });
            self.session.handle(now_ms, Input::Connected { member });
        }
    }

    fn on_disconnected(&mut self, now_ms: u64, member: MemberId) {
        match self.links.remove(&member) {
            Some(Link::Open { .. }) => self.session.handle(now_ms, Input::Disconnected { member }),
            Some(Link::Proving { .. }) => self.fail(member, DoorError::Closed),
            Some(Link::Early { .. } | Link::Refused { .. }) | None => {}
        }
    }

    /// The other end is not listened to any more, and the connection ends soon.
    fn refuse(&mut self, now_ms: u64, member: MemberId, error: DoorError) {
        let close_at_ms = now_ms + LINGER_MS;
        let before = self.links.insert(member, Link::Refused { close_at_ms });
        if let Some(Link::Open { .. }) = before {
            self.session.handle(now_ms, Input::Disconnected { member });
        }
        self.fail(member, error);
    }

    /// A guest without its host is in no room; everybody else can do without one more connection.
    fn fail(&mut self, member: MemberId, error: DoorError) {
        let unreached = matches!(error, DoorError::Silent | DoorError::Closed);
        if unreached && member == MemberId::HOST && self.session.is_seeking() {
            return;
        }
        let fault = Fault::from(error);
        let fatal = member == MemberId::HOST;
        self.over = fatal;
        self.outbox
            .push_back(Output::Event(Event::Failed { fault, fatal }));
    }

    fn keep_time(&mut self, now_ms: u64) {
        let late = self
            .links
            .iter()
            .filter(|(_, link)| matches!(link, Link::Proving { due_ms, .. } if *due_ms <= now_ms));
        let late: Vec<_> = late.map(|(member, _)| *member).collect();
        for member in late {
            self.refuse(now_ms, member, DoorError::Silent);
        }
        let outbox = &mut self.outbox;
        self.links.retain(|member, link| match link {
            Link::Refused { close_at_ms } if *close_at_ms <= now_ms => {
                outbox.push_back(Output::Disconnect { member: *member });
                false
            }
            _ => true,
        });
    }

    fn is_open(&self, member: MemberId) -> bool {
        matches!(self.links.get(&member), Some(Link::Open { .. }))
    }

    fn say(&mut self, to: MemberId, bytes: Vec<u8>) {
        self.outbox.push_back(Output::Send {
            to,
            channel: Channel::Control,
            bytes,
        });
    }
}
