//! What a room is opened with. None of it can be printed by accident.

use core::fmt;

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes of a room's secret.
const SECRET_BYTES: usize = 16;
/// Bytes of a key's hash: nobody finds a second key with the same 128 bits.
const HASH_BYTES: usize = 16;
/// Random bytes that [`HostKeys::new`] takes.
pub const HOST_RANDOM_BYTES: usize = SECRET_BYTES + 32;

/// Shared by everyone who has the link, and by nobody else: 128 random bits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(pub(crate) [u8; SECRET_BYTES]);

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(..)")
    }
}

/// First 128 bits of the SHA-256 of the host's public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyHash(pub(crate) [u8; HASH_BYTES]);

impl KeyHash {
    pub(crate) fn of(public_key: &[u8; 32]) -> Self {
        let digest: [u8; 32] = Sha256::digest(public_key).into();
        let mut hash = [0; HASH_BYTES];
        hash.iter_mut()
            .zip(digest)
            .for_each(|(to, from)| *to = from);
        Self(hash)
    }
}

/// Secret and signing key of the page that starts a room; the key never leaves it.
#[derive(Clone, Serialize, Deserialize)]
pub struct HostKeys {
    pub(crate) secret: Secret,
    seed: [u8; 32],
}

impl fmt::Debug for HostKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("HostKeys(..)")
    }
}

impl HostKeys {
    /// Keys of a new room; `random` is drawn for it from the operating system.
    pub fn new(random: &[u8; HOST_RANDOM_BYTES]) -> Self {
        let (mut secret, mut seed) = ([0; SECRET_BYTES], [0; 32]);
        let drawn = secret.iter_mut().chain(&mut seed);
        drawn.zip(random).for_each(|(to, from)| *to = *from);
        Self {
            secret: Secret(secret),
            seed,
        }
    }

    /// What guests recognise this page by.
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(self.signing_key().verifying_key().as_bytes())
    }

    pub(crate) fn signing_key(&self) -> SigningKey {
        SigningKey::from_bytes(&self.seed)
    }
}

/// What one page proves itself with and checks others by.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Credentials {
    /// Of the page that started the room.
    Host(HostKeys),
    /// Of a page that was invited.
    Guest {
        /// Of the room.
        secret: Secret,
        /// Of the host's public key.
        host: KeyHash,
    },
}

impl Credentials {
    pub(crate) const fn secret(&self) -> &Secret {
        match self {
            Self::Host(keys) => &keys.secret,
            Self::Guest { secret, .. } => secret,
        }
    }

    pub(crate) fn host_hash(&self) -> KeyHash {
        match self {
            Self::Host(keys) => keys.hash(),
            Self::Guest { host, .. } => *host,
        }
    }
}
