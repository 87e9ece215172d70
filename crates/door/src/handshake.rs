//! One end of one handshake.
//!
//! Both ends greet with a nonce; once greeted, both prove (HMAC under the room's secret, and the host's signature) what they see of the
//! connection: numbers, certificate fingerprints, nonces. Whoever finds the other's proof good says so, and the connection is open at an
//! end when it said so and was told so.

use plan::MemberId;
use proto::handshake::{End, Handshake as Message, Statement};

use crate::error::DoorError;
use crate::fingerprint::{Fingerprint, Fingerprints};
use crate::keys::Credentials;
use crate::proof;

/// Random bytes that each end draws for each connection.
pub const NONCE_BYTES: usize = 32;

/// One end of the handshake on one connection.
pub struct Handshake {
    credentials: Credentials,
    me: End,
    other: MemberId,
    their_fingerprint: Fingerprint,
    state: State,
}

enum State {
    Greeted,
    Proving(Statement),
    Convinced,
    Open,
}

/// What a message led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// To be sent to the other end.
    pub send: Option<Vec<u8>>,
    /// The connection is open: both ends found each other's proof good.
    pub open: bool,
}

impl Step {
    fn say(message: &Message) -> Result<Self, DoorError> {
        Ok(Self {
            send: Some(message.encode()?),
            open: false,
        })
    }
}

impl Handshake {
    /// Begins: `me` with `other` on a connection with these certificates. Returns the greeting to send.
    ///
    /// # Errors
    /// None in practice: a greeting fits its limit.
    pub fn new(
        credentials: Credentials,
        me: MemberId,
        other: MemberId,
        fingerprints: Fingerprints,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<(Self, Vec<u8>), DoorError> {
        let greeting = Message::Greeting { nonce }.encode()?;
        let handshake = Self {
            credentials,
            me: End {
                member: me,
                fingerprint: fingerprints.mine.0,
                nonce,
            },
            other,
            their_fingerprint: fingerprints.theirs,
            state: State::Greeted,
        };
        Ok((handshake, greeting))
    }

    /// Takes a message of the other end. After an error the connection must be closed.
    ///
    /// # Errors
    /// The other end was not invited, poses as the host, sees another connection, or speaks out of turn.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Step, DoorError> {
        match (&self.state, Message::decode(bytes)?) {
            (State::Greeted, Message::Greeting { nonce }) => {
                let seen = self.statement(nonce);
                self.state = State::Proving(seen);
                let proof = proof::prove(&self.credentials, self.me.member, seen);
                Step::say(&Message::Proof(Box::new(proof)))
            }
            (State::Proving(seen), Message::Proof(theirs)) => {
                proof::check(&self.credentials, self.other, seen, &theirs)?;
                self.state = State::Convinced;
                Step::say(&Message::Accepted)
            }
            (State::Convinced, Message::Accepted) => {
                self.state = State::Open;
                Ok(Step {
                    send: None,
                    open: true,
                })
            }
            _ => Err(DoorError::OutOfTurn),
        }
    }

    /// Whether the other end's proof is good: whatever it sends besides handshake messages means that it found ours good, too.
    pub const fn is_convinced(&self) -> bool {
        matches!(self.state, State::Convinced)
    }

    fn statement(&self, their_nonce: [u8; NONCE_BYTES]) -> Statement {
        let other = End {
            member: self.other,
            fingerprint: self.their_fingerprint.0,
            nonce: their_nonce,
        };
        let mut ends = [self.me, other];
        ends.sort_by_key(|end| end.member);
        Statement { ends }
    }
}
