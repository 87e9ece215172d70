//! Names nobody can guess.

use crate::refusal::Refusal;

/// Lower case, without the digits that look like letters.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const ROOM_LETTERS: usize = 10;
const KEY_BYTES: usize = 16;

/// Name of a room: 10 letters, 50 random bits.
pub fn room_name() -> Result<String, Refusal> {
    let letters = random::<ROOM_LETTERS>()?;
    let letter = |byte: u8| ALPHABET.get(usize::from(byte % 32)).copied();
    Ok(letters
        .into_iter()
        .filter_map(letter)
        .map(char::from)
        .collect())
}

/// The right to a seat: 128 random bits. Has no `Debug`, so that it cannot slip into a log.
pub struct Key(String);

impl Key {
    /// A new one.
    pub fn new() -> Result<Self, Refusal> {
        let bytes = random::<KEY_BYTES>()?;
        Ok(Self(
            bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        ))
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
    fn a_room_name_is_short_and_never_the_same() {
        let names: std::collections::BTreeSet<_> = (0..1000)
            .map(|_| room_name().ok().filter(|name| name.len() == ROOM_LETTERS))
            .collect();
        assert!(names.len() == 1000 && !names.contains(&None));
    }
}
