//! `tokenizer.model` of SentencePiece: a protocol buffer (google/sentencepiece, `src/sentencepiece_model.proto`), read field by field.

use crate::error::TextError;
use crate::hugging_face::ConfigFile;
use crate::vocabulary::Vocabulary;

/// Model types of the trainer that are BPE.
const BPE: u64 = 2;

impl Vocabulary {
    /// Reads `tokenizer.model` (BPE models) and, where there is one, `tokenizer_config.json`. Types of pieces have the numbers that GGUF
    /// files have for them.
    ///
    /// # Errors
    /// No such file, or another model than BPE.
    pub fn of_sentence_piece(model: &[u8], config: Option<&str>) -> Result<Self, TextError> {
        let config = ConfigFile::read(config)?;
        let mut trainer = Trainer::default();
        let mut vocabulary = Self {
            model: "llama".to_owned(),
            add_bos: Some(config.add_bos_token.unwrap_or(true)),
            add_space_prefix: Some(true),
            chat_template: config.chat_template(),
            ..Self::default()
        };
        for field in Fields(model) {
            match field? {
                (1, Content::Bytes(piece)) => vocabulary.push(piece)?,
                (2, Content::Bytes(spec)) => trainer = Trainer::of(spec)?,
                (3, Content::Bytes(normalizer)) => {
                    for field in Fields(normalizer) {
                        if let (3, Content::Integer(prefix)) = field? {
                            vocabulary.add_space_prefix = Some(prefix != 0);
                        }
                    }
                }
                _ => {}
            }
        }
        if trainer.model_type != BPE {
            let model = format!("SentencePiece of type {}", trainer.model_type);
            return Err(TextError::Model { model });
        }
        let known = |id: u32| Some(id).filter(|id| (*id as usize) < vocabulary.tokens.len());
        (vocabulary.unk, vocabulary.bos, vocabulary.eos) =
            (known(trainer.unk), known(trainer.bos), known(trainer.eos));
        Ok(vocabulary)
    }

    fn push(&mut self, piece: &[u8]) -> Result<(), TextError> {
        const NORMAL: i32 = 1;
        let (mut text, mut score, mut kind) = (String::new(), 0.0, NORMAL);
        for field in Fields(piece) {
            match field? {
                (1, Content::Bytes(bytes)) => text = String::from_utf8_lossy(bytes).into_owned(),
                (2, Content::Four(bytes)) => score = f32::from_le_bytes(bytes),
                (3, Content::Integer(number)) => kind = i32::try_from(number).unwrap_or(NORMAL),
                _ => {}
            }
        }
        self.tokens.push(text);
        self.scores.push(score);
        self.token_types.push(kind);
        Ok(())
    }
}

/// What of the trainer's settings matters; their defaults are the format's.
struct Trainer {
    model_type: u64,
    unk: u32,
    bos: u32,
    eos: u32,
}

impl Default for Trainer {
    fn default() -> Self {
        Self {
            model_type: 1,
            unk: 0,
            bos: 1,
            eos: 2,
        }
    }
}

impl Trainer {
    fn of(spec: &[u8]) -> Result<Self, TextError> {
        let mut trainer = Self::default();
        // Minus one, for none, is beyond every vocabulary.
        let id = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        for field in Fields(spec) {
            match field? {
                (3, Content::Integer(kind)) => trainer.model_type = kind,
                (40, Content::Integer(number)) => trainer.unk = id(number),
                (41, Content::Integer(number)) => trainer.bos = id(number),
                (42, Content::Integer(number)) => trainer.eos = id(number),
                _ => {}
            }
        }
        Ok(trainer)
    }
}

enum Content<'a> {
    Integer(u64),
    Four([u8; 4]),
    Bytes(&'a [u8]),
    Eight,
}

/// Fields of a message, one after another.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Content<'a>)> {
        let key = self.varint()?;
        let content = match key & 7 {
            0 => Content::Integer(self.varint()?),
            1 => {
                self.slice(8)?;
                Content::Eight
            }
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Content::Bytes(self.slice(length)?)
            }
            5 => Content::Four(self.slice(4)?.try_into().ok()?),
            _ => return None,
        };
        Some((key >> 3, content))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (slice, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(slice)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Content<'a>), TextError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or_else(|| TextError::corrupt("tokenizer.model is no SentencePiece model")))
    }
}
