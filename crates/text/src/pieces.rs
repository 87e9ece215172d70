//! Ids back to text, whole or token by token.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::vocabulary::{TokenType, Vocabulary};

/// How SentencePiece writes a space in a token.
pub(crate) const SPACE: char = '\u{2581}';

/// The bytes every id stands for.
#[derive(Debug)]
pub(crate) struct Pieces {
    bytes: Vec<u8>,
    /// Per id: where its bytes end, and whether it is structure rather than text.
    ends: Vec<(usize, bool)>,
}

impl Pieces {
    pub fn new(vocabulary: &Vocabulary) -> Self {
        let is_byte_level = vocabulary.model == "gpt2";
        let byte_of = byte_of_char();
        let mut pieces = Self {
            bytes: Vec::new(),
            ends: Vec::with_capacity(vocabulary.tokens.len()),
        };
        for (id, token) in vocabulary.tokens.iter().enumerate() {
            let token_type = vocabulary.token_type(id);
            match (token_type, hexadecimal_byte(token)) {
                (TokenType::Byte, Some(byte)) => pieces.bytes.push(byte),
                (TokenType::Normal, _) if is_byte_level => {
                    token.chars().for_each(|char| match byte_of.get(&char) {
                        Some(&byte) => pieces.bytes.push(byte),
                        None => pieces.push(char),
                    });
                }
                (TokenType::Normal, _) => token
                    .chars()
                    .for_each(|char| pieces.push(if char == SPACE { ' ' } else { char })),
                _ => pieces.bytes.extend(token.as_bytes()),
            }
            pieces
                .ends
                .push((pieces.bytes.len(), token_type == TokenType::Control));
        }
        pieces
    }

    fn push(&mut self, char: char) {
        self.bytes.extend(char.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// Bytes of an id, and whether it is structure; `None` outside the vocabulary.
    fn get(&self, id: u32) -> Option<(&[u8], bool)> {
        let id = usize::try_from(id).ok()?;
        let &(end, control) = self.ends.get(id)?;
        let start = match id.checked_sub(1) {
            Some(before) => self.ends.get(before)?.0,
            None => 0,
        };
        Some((self.bytes.get(start..end)?, control))
    }
}

/// `<0x0A>` is the byte 10.
pub(crate) fn hexadecimal_byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(digits, 16).ok()
}

/// Byte-level BPE writes every byte as a printable character: printable Latin-1 as itself, the other 68 bytes from U+0100 on
/// (GPT-2, `bytes_to_unicode`).
fn byte_of_char() -> BTreeMap<char, u8> {
    let is_itself = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let printable = (0..=u8::MAX)
        .filter(is_itself)
        .map(|byte| (char::from(byte), byte));
    let shifted = ('\u{100}'..).zip((0..=u8::MAX).filter(|byte| !is_itself(byte)));
    printable.chain(shifted).collect()
}

/// Turns generated ids into text as they come; an unfinished character waits for its remaining bytes.
#[derive(Debug, Clone)]
pub struct DecodeStream {
    pieces: Arc<Pieces>,
    skip_special: bool,
    pending: Vec<u8>,
}

impl DecodeStream {
    pub(crate) fn new(pieces: Arc<Pieces>, skip_special: bool) -> Self {
        Self {
            pieces,
            skip_special,
            pending: Vec::new(),
        }
    }

    /// Text that `id` completes; may be empty. Bytes that are no text become U+FFFD, and so does an id outside the vocabulary.
    pub fn push(&mut self, id: u32) -> String {
        match self.pieces.get(id) {
            Some((_, true)) if self.skip_special => {}
            Some((bytes, _)) => self.pending.extend(bytes),
            None => self.pending.extend("\u{FFFD}".as_bytes()),
        }
        let (text, read) = complete_text(&self.pending);
        self.pending.drain(..read);
        text
    }

    /// What is left of an unfinished character when the answer ends.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&core::mem::take(&mut self.pending)).into_owned()
    }
}

/// The text up to the last complete character, and how many bytes it took.
fn complete_text(bytes: &[u8]) -> (String, usize) {
    let (mut text, mut read) = (String::new(), 0);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        read += chunk.valid().len();
        let rest = bytes.get(read..).unwrap_or_default();
        if is_unfinished(rest) {
            break;
        }
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            read += chunk.invalid().len();
        }
    }
    (text, read)
}

/// Whether more bytes could make a character of these.
fn is_unfinished(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && core::str::from_utf8(bytes)
            .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}
