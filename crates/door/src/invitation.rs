//! The fragment of a room's link. Browsers send fragments to no server and put them in no Referer.

use core::fmt;

use data_encoding::BASE32_NOPAD_NOCASE;

use crate::error::DoorError;
use crate::keys::{Credentials, HostKeys, KeyHash, Secret};

const KEY: &str = "room=";
/// Letters of a room's name, at most.
const MAX_ROOM_LETTERS: usize = 64;

/// Room, secret and host of one link: `room=NAME.SECRET.HOST`, the last two in 26 letters of base 32, which every messenger leaves alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Name of the room on the server.
    pub room: String,
    secret: Secret,
    host: KeyHash,
}

impl Invitation {
    /// The invitation to a room with these keys.
    pub fn new(room: &str, keys: &HostKeys) -> Self {
        Self {
            room: room.to_owned(),
            secret: keys.secret.clone(),
            host: keys.hash(),
        }
    }

    /// Reads a link, or its fragment.
    ///
    /// # Errors
    /// A part is missing or cannot be read.
    pub fn parse(link: &str) -> Result<Self, DoorError> {
        let fragment = link.trim().rsplit('#').next().unwrap_or_default();
        let parts = fragment.strip_prefix(KEY).ok_or(DoorError::Incomplete)?;
        let mut parts = parts.split('.');
        let room = parts.next().unwrap_or_default();
        let secret = bits(parts.next())?;
        let host = bits(parts.next())?;
        if parts.next().is_some() || !is_room(room) {
            return Err(DoorError::Malformed);
        }
        Ok(Self {
            room: room.to_owned(),
            secret: Secret(secret),
            host: KeyHash(host),
        })
    }

    /// What a guest with this invitation proves and checks.
    pub fn credentials(&self) -> Credentials {
        Credentials::Guest {
            secret: self.secret.clone(),
            host: self.host,
        }
    }
}

impl fmt::Display for Invitation {
    /// The fragment, without `#`. Contains the secret.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [secret, host] = [&self.secret.0, &self.host.0]
            .map(|bits| BASE32_NOPAD_NOCASE.encode(bits).to_ascii_lowercase());
        write!(out, "{KEY}{}.{secret}.{host}", self.room)
    }
}

fn bits(part: Option<&str>) -> Result<[u8; 16], DoorError> {
    let part = part.filter(|part| !part.is_empty());
    let part = part.ok_or(DoorError::Incomplete)?;
    if part.len() < BASE32_NOPAD_NOCASE.encode_len(16) {
        return Err(DoorError::Incomplete);
    }
    let bits = BASE32_NOPAD_NOCASE.decode(part.as_bytes());
    bits.ok()
        .and_then(|bits| bits.try_into().ok())
        .ok_or(DoorError::Malformed)
}

/// The server decides how its rooms are called; so much is safe in a link.
fn is_room(name: &str) -> bool {
    let safe = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    (1..=MAX_ROOM_LETTERS).contains(&name.len()) && name.chars().all(safe)
}
