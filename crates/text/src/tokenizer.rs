//! Text to ids: special tokens, words, byte-level BPE.

use std::collections::BTreeSet;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::split::Split;
use tokenizers::tokenizer::{Model, PreTokenizedString, PreTokenizer};

use crate::error::TextError;
use crate::pieces::{DecodeStream, Pieces};
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
    words: Vec<Split>,
    bytes: ByteLevel,
    /// Tokens found in any text.
    user_defined: Whole,
    /// These and control tokens, found where structure is allowed.
    special: Whole,
    bos: Option<u32>,
    stop_ids: Vec<u32>,
    pieces: Arc<Pieces>,
}

/// Texts that are one token wherever they are, the longest first.
struct Whole {
    finder: AhoCorasick,
    ids: Vec<u32>,
}

impl Tokenizer {
    /// Reads a vocabulary. The SmolLM2 one (49152 tokens) takes tens of milliseconds.
    pub fn new(vocabulary: &Vocabulary) -> Result<Self, TextError> {
        if vocabulary.model != "gpt2" {
            return Err(TextError::Model {
                model: vocabulary.model.clone(),
            });
        }
        let family = words::family(&vocabulary.pre)?;
        let adds_bos = vocabulary.add_bos.unwrap_or(family.adds_bos);
        if !vocabulary.token_types.is_empty()
            && vocabulary.token_types.len() != vocabulary.tokens.len()
        {
            return Err(corrupt("not every token has a type"));
        }
        for id in [vocabulary.bos, vocabulary.eos, vocabulary.unk] {
            if id.is_some() && vocabulary.token(id).is_none() {
                return Err(corrupt("a special token is not in it"));
            }
        }
        if adds_bos && vocabulary.bos.is_none() {
            return Err(corrupt("prompts start with a token that it does not name"));
        }
        Ok(Self {
            bpe: build_bpe(vocabulary, family.whole_words_first)?,
            words: family.splits()?,
            bytes: ByteLevel::new(false, false, false),
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
            self.encode_words(text.get(read..found.start()).unwrap_or_default(), &mut ids)?;
            ids.extend(whole.ids.get(found.pattern().as_usize()));
            read = found.end();
        }
        self.encode_words(text.get(read..).unwrap_or_default(), &mut ids)?;
        if let Some(bos) = self
            .bos
            .filter(|bos| add_special && ids.first() != Some(bos))
        {
            ids.insert(0, bos);
        }
        Ok(ids)
    }

    /// Text of ids; see [`DecodeStream::push`] for what is no text.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> String {
        let mut stream = DecodeStream::new(Arc::clone(&self.pieces), skip_special);
        let mut text: String = ids.iter().map(|&id| stream.push(id)).collect();
        text.push_str(&stream.finish());
        text
    }

    /// Decoder for an answer as it is written; control tokens are not shown.
    pub fn decode_stream(&self) -> DecodeStream {
        DecodeStream::new(Arc::clone(&self.pieces), true)
    }

    /// Ids that end an answer, ascending: end of sequence and end of turn.
    pub fn stop_ids(&self) -> &[u32] {
        &self.stop_ids
    }

    fn encode_words(&self, text: &str, ids: &mut Vec<u32>) -> Result<(), TextError> {
        let refused = |error: tokenizers::Error| TextError::Encode {
            detail: error.to_string(),
        };
        let mut words = PreTokenizedString::from(text);
        for split in &self.words {
            split.pre_tokenize(&mut words).map_err(refused)?;
        }
        self.bytes.pre_tokenize(&mut words).map_err(refused)?;
        for (word, _, _) in words.get_splits(
            tokenizers::OffsetReferential::Original,
            tokenizers::OffsetType::None,
        ) {
            ids.extend(
                self.bpe
                    .tokenize(word)
                    .map_err(refused)?
                    .iter()
                    .map(|token| token.id),
            );
        }
        Ok(())
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
            finder: finder.map_err(|error| corrupt(&error.to_string()))?,
            ids,
        })
    }
}

/// BPE over the normal tokens. A merge whose parts or result are no tokens never makes one (llama.cpp falls back to the parts too) and is
/// left out.
fn build_bpe(vocabulary: &Vocabulary, whole_words_first: bool) -> Result<BPE, TextError> {
    let ids = (0_u32..).zip(&vocabulary.tokens);
    let normal = ids.filter(|&(id, _)| vocabulary.token_type(id as usize) == TokenType::Normal);
    let ids: tokenizers::models::bpe::Vocab =
        normal.map(|(id, token)| (token.clone(), id)).collect();
    let mut merges = Vec::with_capacity(vocabulary.merges.len());
    let mut joined = String::new();
    for merge in &vocabulary.merges {
        let (left, right) = merge
            .split_once(' ')
            .ok_or_else(|| corrupt("a merge does not have two parts"))?;
        joined.clear();
        joined.push_str(left);
        joined.push_str(right);
        if ids.contains_key(left) && ids.contains_key(right) && ids.contains_key(&joined) {
            merges.push((left.to_owned(), right.to_owned()));
        }
    }
    let bpe = BPE::builder()
        .vocab_and_merges(ids, merges)
        .ignore_merges(whole_words_first)
        .build();
    bpe.map_err(|error| corrupt(&error.to_string()))
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

fn corrupt(detail: &str) -> TextError {
    TextError::Vocabulary {
        detail: detail.to_owned(),
    }
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
}
