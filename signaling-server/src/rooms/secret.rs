//! Names nobody can guess.

use sha2::{Digest, Sha256};

use crate::refusal::Refusal;

/// Lower case, without the digits that look like letters.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const ROOM_LETTERS: usize = 16;
const KEY_BYTES: usize = 16;

/// The right to a seat: 128 random bits in hexadecimal. Has no `Debug`, so that it cannot slip into a log.
pub struct Key(String);

impl Key {
    /// A new one.
    pub fn new() -> Result<Self, Refusal> {
        let bytes = random::<KEY_BYTES>()?;
        Ok(Self(
            bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        ))
    }

    /// One that its owner kept.
    pub fn of(kept: &str) -> Result<Self, Refusal> {
        let hexadecimal = kept
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if kept.len() == 2 * KEY_BYTES && hexadecimal {
            Ok(Self(kept.to_owned()))
        } else {
            Err(Refusal::Malformed {
                detail: "this is no key".to_owned(),
            })
        }
    }

    /// The room of a host with this key: 16 letters, 80 bits of its hash.
    pub fn room_name(&self) -> String {
        let hash = Sha256::digest(format!("room of {}", self.0));
        let letter = |byte: &u8| ALPHABET.get(usize::from(byte % 32)).copied();
        hash.iter()
            .take(ROOM_LETTERS)
            .filter_map(letter)
            .map(char::from)
            .collect()
    }

    /// For the owner of the seat.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Takes as long for a nearly right key as for a wrong one.
    pub fn is(&self, offered: &str) -> bool {
        let differences = self.0.bytes().zip(offered.bytes());
        let differences = differences.fold(0, |differences, (ours, theirs)| {
            differences | (ours ^ theirs)
        });
        self.0.len() == offered.len() && differences == 0
    }
}

fn random<const N: usize>() -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Refusal::NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_its_own_seat_only() {
        let (key, other) = (Key::new().unwrap(), Key::new().unwrap());
        assert_eq!(key.reveal().len(), 32);
        assert!(key.is(key.reveal()));
        for wrong in [other.reveal(), "", &key.reveal()[1..]] {
            assert!(!key.is(wrong));
        }
    }

    #[test]
    fn a_room_is_called_after_its_key() {
        let kept = "0123456789abcdef0123456789abcdef";
        let name = Key::of(kept).unwrap().room_name();
        assert_eq!(name, Key::of(kept).unwrap().room_name());
        assert_eq!(name.len(), ROOM_LETTERS);
        let names: std::collections::BTreeSet<_> =
            (0..1000).map(|_| Key::new().unwrap().room_name()).collect();
        assert!(names.len() == 1000 && !names.contains(&name));
    }

    #[test]
    fn what_is_no_key_opens_nothing() {
        for kept in [
            "",
            "0123",
            "0123456789ABCDEF0123456789abcdef",
            "\u{e9}123456789abcdef0123456789abcde",
        ] {
            assert!(Key::of(kept).is_err(), "{kept}");
        }
    }
}
