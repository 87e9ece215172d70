//! Host or peer, driven the same way.

use door::{Credentials, Fingerprints, NONCE_BYTES};
use plan::MemberId;
use session::{Fault, Guarded, Host, Input, Kept, Output, Peer};

/// The session machine of this page, behind its door.
pub enum Machine {
    /// This page started the room.
    Host(Box<Guarded<Host>>),
    /// This page joined.
    Peer(Box<Guarded<Peer>>),
}

macro_rules! either {
    ($self:ident, $machine:ident => $call:expr) => {
        match $self {
            Self::Host($machine) => $call,
            Self::Peer($machine) => $call,
        }
    };
}

impl Machine {
    /// For the page that starts the room.
    pub fn host(host: Host, credentials: Credentials) -> Self {
        Self::Host(Box::new(Guarded::new(host, credentials)))
    }

    /// For a page that joins.
    pub fn peer(peer: Peer, credentials: Credentials) -> Self {
        Self::Peer(Box::new(Guarded::new(peer, credentials)))
    }

    /// Both channels to a member opened.
    pub fn connected(
        &mut self,
        now_ms: u64,
        member: MemberId,
        fingerprints: Fingerprints,
        nonce: [u8; NONCE_BYTES],
    ) {
        either!(self, machine => machine.connected(now_ms, member, fingerprints, nonce));
    }

    /// Tells it something.
    pub fn handle(&mut self, now_ms: u64, input: Input) {
        either!(self, machine => machine.handle(now_ms, input));
    }

    /// What it wants done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        either!(self, machine => machine.poll_output())
    }

    /// When it wants to be told the time.
    pub fn poll_timeout(&self) -> Option<u64> {
        either!(self, machine => machine.poll_timeout())
    }

    /// What a host keeps over a reload of its page.
    pub fn kept(&mut self) -> Option<Kept> {
        match self {
            Self::Host(host) => Some(host.session().kept()),
            Self::Peer(_) => None,
        }
    }

    /// A number for a guest; only a host gives them.
    pub fn allocate_member(&mut self) -> Option<Result<MemberId, Fault>> {
        match self {
            Self::Host(host) => Some(host.session().allocate_member()),
            Self::Peer(_) => None,
        }
    }
}
