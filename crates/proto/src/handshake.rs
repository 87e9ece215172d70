//! What two ends of a new connection say on its control channel before anything else. `door` knows what it means.

use plan::MemberId;
use serde::{Deserialize, Serialize};

use crate::envelope;
use crate::error::ProtoError;

/// Longest message of a handshake, bytes.
pub const MAX_HANDSHAKE_BYTES: usize = 512;

/// A message of the handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Handshake {
    /// Both ends, first.
    Greeting {
        /// Drawn for this connection.
        nonce: [u8; 32],
    },
    /// Both ends, once greeted.
    Proof(Box<Proof>),
    /// Both ends, once the other's proof is good.
    Accepted,
}

/// What one end sees of the connection, and that it was invited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// What its sender sees.
    pub statement: Statement,
    /// HMAC-SHA-256 of the statement under the room's secret.
    pub mac: [u8; 32],
    /// From the host only.
    pub host: Option<HostProof>,
}

/// A connection as one of its ends sees it; the lower number first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Both ends.
    pub ends: [End; 2],
}

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Its number in the room; the host's is 0.
    pub member: MemberId,
    /// SHA-256 of its DTLS certificate.
    pub fingerprint: [u8; 32],
    /// What it drew for this connection.
    pub nonce: [u8; 32],
}

/// Only the phone that started the room can make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostProof {
    /// Ed25519 public key; its hash is in the invitation.
    pub key: [u8; 32],
    /// Ed25519 signature of the statement: R and s.
    pub signature: [[u8; 32]; 2],
}

impl Handshake {
    /// Wire form: protocol number, then postcard.
    ///
    /// # Errors
    /// None that a handshake can have; the limit is checked all the same.
    pub fn encode(&self) -> Result<Vec<u8>, ProtoError> {
        envelope::seal(self, MAX_HANDSHAKE_BYTES)
    }

    /// Reads a message; nothing may follow it.
    ///
    /// # Errors
    /// Another protocol number, too long, not a message.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtoError> {
        envelope::open(bytes, MAX_HANDSHAKE_BYTES)
    }
}
