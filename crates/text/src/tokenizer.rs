//! Text to ids: special tokens first, then BPE over words of bytes (GPT-2) or over whole text (SentencePiece).

use std::collections::BTreeSet;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::split::Split;
use tokenizers::tokenizer::{Model, PreTokenizedString, PreTokenizer};
use tokenizers::{OffsetReferential, OffsetType};

use crate::bpe;
use crate::error::TextError;
use crate::pieces::{DecodeStream, Pieces, SPACE};
use crate::vocabulary::{TokenType, Vocabulary};
use crate::words;

/// Texts of the tokens that end an answer, as model makers write them (llama.cpp's list of end-of-generation tokens).
const END_OF_ANSWER: &[&str] = &[
    "<|im_end|>",
    "<|eot_id|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<|end|>",
    "<|eom_id|>",
    "<end_of_turn>",
    "<EOT>",
    "</s>",
];

/// A model's tokenizer.
pub struct Tokenizer {
    bpe: BPE,
    kind: Kind,
    /// Tokens found in any text.
    user_defined: Whole,
    /// These and control tokens, found where structure is allowed.
    special: Whole,
    bos: Option<u32>,
    stop_ids: Vec<u32>,
    pieces: Arc<Pieces>,
}

/// What BPE is applied to.
enum Kind {
    /// Words, every byte written as a printable character.
    ByteLevel { words: Vec<Split>, bytes: ByteLevel },
    /// Text with `SPACE` for its spaces.
    SentencePiece { starts_with_space: bool },
}

/// Texts that are one token wherever they are, the longest first.
struct Whole {
    finder: AhoCorasick,
    ids: Vec<u32>,
}

impl Tokenizer {
    /// Reads a vocabulary. The SmolLM2 one (49152 tokens) takes tens of milliseconds.
    pub fn new(vocabulary: &Vocabulary) -> Result<Self, TextError> {
        let (bpe, kind, family_adds_bos) = match vocabulary.model.as_str() {
            "gpt2" => {
                let family = words::family(&vocabulary.pre)?;
                let kind = Kind::ByteLevel {
                    words: family.splits()?,
                    bytes: ByteLevel::new(false, false, false),
                };
                let bpe = bpe::byte_level(vocabulary, family.whole_words_first)?;
                (bpe, kind, family.adds_bos)
            }
            "llama" => {
                let starts_with_space = vocabulary.add_space_prefix.unwrap_or(true);
                let kind = Kind::SentencePiece { starts_with_space };
                (bpe::sentence_piece(vocabulary)?, kind, true)
            }
            _ => {
                let model = vocabulary.model.clone();
                return Err(TextError::Model { model });
            }
        };
        let adds_bos = vocabulary.add_bos.unwrap_or(family_adds_bos);
        if !vocabulary.token_types.is_empty()
            && vocabulary.token_types.len() != vocabulary.tokens.len()
        {
            return Err(TextError::corrupt("not every token has a type"));
        }
        for id in [vocabulary.bos, vocabulary.eos, vocabulary.unk] {
            if id.is_some() && vocabulary.token(id).is_none() {
                return Err(TextError::corrupt("a special token is not in it"));
            }
        }
        if adds_bos && vocabulary.bos.is_none() {
            return Err(TextError::corrupt(
                "prompts start with a token that it does not name",
            ));
        }
        Ok(Self {
            bpe,
            kind,
            user_defined: Whole::new(vocabulary, &[TokenType::UserDefined])?,
            special: Whole::new(vocabulary, &[TokenType::UserDefined, TokenType::Control])?,
            bos: vocabulary.bos.filter(|_| adds_bos),
            stop_ids: stop_ids(vocabulary),
            pieces: Arc::new(Pieces::new(vocabulary)),
        })
    }

    /// Ids of a text. `parse_special`: texts of control tokens become these tokens (for rendered chat templates, not for what a person
    /// typed). `add_special`: the begin-of-sequence token in front if the model wants one and the text does not start with it.
    /// A byte the vocabulary has no token for is left out, as in llama.cpp.
    pub fn encode(
        &self,
        text: &str,
        parse_special: bool,
        add_special: bool,
    ) -> Result<Vec<u32>, TextError> {
        let whole = if parse_special {
            &self.special
        } else {
            &self.user_defined
        };
        let mut ids = Vec::new();
        let mut read = 0;
        for found in whole.finder.find_iter(text) {
            self.encode_plain(text.get(read..found.start()).unwrap_or_default(), &mut ids)?;
            ids.extend(whole.ids.get(found.pattern().as_usize()));
            read = found.end();
        }
        self.encode_plain(text.get(read..).unwrap_or_default(), &mut ids)?;
        if let Some(bos) = self
            .bos
            .filter(|bos| add_special && ids.first() != Some(bos))
        {
            ids.insert(0, bos);
        }
        Ok(ids)
    }

    /// Text of ids; see [`DecodeStream::push`] for what is no text. The space [`encode`](Self::encode) put in front is gone again.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> String {
        let mut stream = DecodeStream::new(Arc::clone(&self.pieces), skip_special);
        let mut text: String = ids.iter().map(|&id| stream.push(id)).collect();
        text.push_str(&stream.finish());
        if self.starts_with_space() && text.starts_with(' ') {
            text.remove(0);
        }
        text
    }

    fn starts_with_space(&self) -> bool {
        matches!(
            self.kind,
            Kind::SentencePiece {
                starts_with_space: true
            }
        )
    }

    /// Decoder for an answer as it is written; control tokens are not shown.
    pub fn decode_stream(&self) -> DecodeStream {
        DecodeStream::new(Arc::clone(&self.pieces), true)
    }

    /// Ids that end an answer, ascending: end of sequence and end of turn.
    pub fn stop_ids(&self) -> &[u32] {
        &self.stop_ids
    }

    /// Text without whole tokens in it.
    fn encode_plain(&self, text: &str, ids: &mut Vec<u32>) -> Result<(), TextError> {
        if text.is_empty() {
            return Ok(());
        }
        match &self.kind {
            Kind::ByteLevel { words, bytes } => {
                let mut parts = PreTokenizedString::from(text);
                for split in words {
                    split.pre_tokenize(&mut parts).map_err(refused)?;
                }
                bytes.pre_tokenize(&mut parts).map_err(refused)?;
                for (word, _, _) in parts.get_splits(OffsetReferential::Original, OffsetType::None)
                {
                    self.encode_word(word, ids)?;
                }
                Ok(())
            }
            Kind::SentencePiece { starts_with_space } => {
                let mut spaced = String::with_capacity(text.len() + SPACE.len_utf8());
                spaced.extend(starts_with_space.then_some(SPACE));
                spaced.extend(
                    text.chars()
                        .map(|char| if char == ' ' { SPACE } else { char }),
                );
                self.encode_word(&spaced, ids)
            }
        }
    }

    fn encode_word(&self, word: &str, ids: &mut Vec<u32>) -> Result<(), TextError> {
        let tokens = self.bpe.tokenize(word).map_err(refused)?;
        ids.extend(tokens.iter().map(|token| token.id));
        Ok(())
    }
}

fn refused(error: tokenizers::Error) -> TextError {
    TextError::Encode {
        detail: error.to_string(),
    }
}

impl Whole {
    fn new(vocabulary: &Vocabulary, types: &[TokenType]) -> Result<Self, TextError> {
        let (mut texts, mut ids) = (Vec::new(), Vec::new());
        for (id, token) in (0_u32..).zip(&vocabulary.tokens) {
            if !token.is_empty() && types.contains(&vocabulary.token_type(id as usize)) {
                texts.push(token.as_str());
                ids.push(id);
            }
        }
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(texts);
        Ok(Self {
            finder: finder.map_err(|error| TextError::corrupt(&error.to_string()))?,
            ids,
        })
    }
}

fn stop_ids(vocabulary: &Vocabulary) -> Vec<u32> {
    let ends_answer = |&(id, token): &(u32, &String)| {
        vocabulary.token_type(id as usize) == TokenType::Control
            && END_OF_ANSWER.contains(&token.as_str())
    };
    let by_text = (0_u32..)
        .zip(&vocabulary.tokens)
        .filter(ends_answer)
        .map(|(id, _)| id);
    BTreeSet::from_iter(vocabulary.eos.into_iter().chain(by_text))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// a b c, a space, two merged tokens, a control and a user-defined token.
    fn vocabulary() -> Vocabulary {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Vocabulary {
            model: "gpt2".to_owned(),
            pre: "gpt-2".to_owned(),
            tokens: texts(&["a", "b", "c", "\u{120}", "ab", "bc", "<end>", "<<c>>"]),
            merges: texts(&["b c", "a b", "ab c"]),
            token_types: vec![1, 1, 1, 1, 1, 1, 3, 4],
            eos: Some(6),
            ..Vocabulary::default()
        }
    }

    fn encode(text: &str, parse_special: bool) -> Vec<u32> {
        Tokenizer::new(&vocabulary())
            .unwrap()
            .encode(text, parse_special, true)
            .unwrap()
    }

    #[test]
    fn merges_apply_in_their_order_and_only_into_tokens() {
        assert_eq!(encode("abc", false), [0, 5]);
        assert_eq!(encode("ab abc", false), [4, 3, 0, 5]);
    }

    #[test]
    fn user_defined_tokens_are_found_always_control_tokens_on_request() {
        assert_eq!(encode("a<<c>>b", false), [0, 7, 1]);
        assert_eq!(encode("a<end>b", true), [0, 6, 1]);
    }

    #[test]
    fn bytes_without_a_token_are_left_out() {
        assert_eq!(encode("a<end>b", false), [0, 1]);
    }

    #[test]
    fn an_answer_ends_with_the_end_of_sequence() {
        let tokenizer = Tokenizer::new(&vocabulary()).unwrap();
        assert_eq!(tokenizer.stop_ids(), [6]);
        assert_eq!(tokenizer.decode(&[4, 3, 7, 6], true), "ab <<c>>");
        assert_eq!(tokenizer.decode(&[4, 6], false), "ab<end>");
    }

    /// Bytes, pieces with and without a leading space, a control and a user-defined token.
    fn sentence_pieces(add_space_prefix: Option<bool>) -> Vocabulary {
        let bytes = (0..=u8::MAX).map(|byte| (format!("<0x{byte:02X}>"), 0.0, 6));
        let pieces = [
            ("<unk>", 0.0, 2),
            ("<s>", 0.0, 3),
            ("\u{2581}", -9.0, 1),
            ("a", -8.0, 1),
            ("b", -7.0, 1),
            ("c", -6.0, 1),
            ("ab", -5.0, 1),
            ("bc", -4.0, 1),
            ("\u{2581}ab", -3.0, 1),
            ("  ", 0.0, 4),
        ];
        let pieces = pieces.map(|(text, score, kind)| (text.to_owned(), score, kind));
        let all: Vec<(String, f32, i32)> = pieces.into_iter().chain(bytes).collect();
        Vocabulary {
            model: "llama".to_owned(),
            tokens: all.iter().map(|(text, _, _)| text.clone()).collect(),
            scores: all.iter().map(|(_, score, _)| *score).collect(),
            token_types: all.iter().map(|(_, _, kind)| *kind).collect(),
            unk: Some(0),
            bos: Some(1),
            add_space_prefix,
            ..Vocabulary::default()
        }
    }

    #[test]
    fn pieces_merge_by_score_and_text_starts_with_a_space() {
        let tokenizer = Tokenizer::new(&sentence_pieces(None)).unwrap();
        assert_eq!(tokenizer.encode("abc", false, true).unwrap(), [1, 2, 3, 7]);
        assert_eq!(tokenizer.encode("ab ab", false, false).unwrap(), [8, 8]);
        assert_eq!(tokenizer.decode(&[1, 8, 8], true), "ab ab");
        let bare = Tokenizer::new(&sentence_pieces(Some(false))).unwrap();
        assert_eq!(bare.encode("ab  c", false, false).unwrap(), [6, 9, 5]);
        assert_eq!(bare.decode(&[8], true), " ab");
    }

    #[test]
    fn a_character_without_a_piece_becomes_its_bytes_and_comes_back() {
        let tokenizer = Tokenizer::new(&sentence_pieces(Some(false))).unwrap();
        let ids = tokenizer.encode("a\u{C548}", false, false).unwrap();
        assert_eq!(ids, [3, 10 + 0xEC, 10 + 0x95, 10 + 0x88]);
        assert_eq!(tokenizer.decode(&ids, true), "a\u{C548}");
    }
}
