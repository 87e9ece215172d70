//! The front door: invitations, and the handshake by which both ends of a connection prove that they were invited and that nobody sits
//! between them (docs/security.md).
//!
//! Pure (I1): random bytes and certificate fingerprints are arguments, time is the session's.

#![deny(clippy::indexing_slicing)]

mod error;
mod fingerprint;
mod handshake;
mod invitation;
mod keys;
mod proof;

pub use error::DoorError;
pub use fingerprint::{Fingerprint, Fingerprints};
pub use handshake::{Handshake, NONCE_BYTES, Step};
pub use invitation::Invitation;
pub use keys::{Credentials, HOST_RANDOM_BYTES, HostKeys, KeyHash, Secret};
