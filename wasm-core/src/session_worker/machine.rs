//! Host or peer, driven the same way.

use plan::MemberId;
use session::{Fault, Host, Input, Output, Peer};

/// The session machine of this page.
pub enum Machine {
    /// This page started the room.
    Host(Box<Host>),
    /// This page joined.
    Peer(Box<Peer>),
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

    /// A number for a guest; only a host gives them.
    pub fn allocate_member(&mut self) -> Option<Result<MemberId, Fault>> {
        match self {
            Self::Host(host) => Some(host.allocate_member()),
            Self::Peer(_) => None,
        }
    }
}
