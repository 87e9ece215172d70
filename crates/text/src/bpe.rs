//! Byte-pair merges of the two families of vocabularies.

use tokenizers::models::bpe::{BPE, Merges, Vocab};

use crate::error::TextError;
use crate::vocabulary::{TokenType, Vocabulary};

/// `whole_words_first`: a word that is a token is not built by merges.
pub(crate) fn byte_level(
    vocabulary: &Vocabulary,
    whole_words_first: bool,
) -> Result<BPE, TextError> {
    let ids = ids(vocabulary, &[TokenType::Normal]);
    let merges = listed_merges(vocabulary, &ids)?;
    let bpe = BPE::builder()
        .vocab_and_merges(ids, merges)
        .ignore_merges(whole_words_first)
        .build();
    bpe.map_err(|error| TextError::corrupt(&error.to_string()))
}

/// A character without a token becomes its bytes. A file lists merges or gives scores.
pub(crate) fn sentence_piece(vocabulary: &Vocabulary) -> Result<BPE, TextError> {
    let unknown = vocabulary
        .token(vocabulary.unk)
        .ok_or_else(|| TextError::corrupt("it names no unknown token"))?;
    let mut ids = ids(vocabulary, &[TokenType::Normal, TokenType::Byte]);
    ids.extend(vocabulary.unk.map(|id| (unknown.to_owned(), id)));
    let merges = if vocabulary.merges.is_empty() {
        implied_merges(vocabulary, &ids)?
    } else {
        listed_merges(vocabulary, &ids)?
    };
    let bpe = BPE::builder()
        .vocab_and_merges(ids, merges)
        .unk_token(unknown.to_owned())
        .byte_fallback(true)
        .build();
    bpe.map_err(|error| TextError::corrupt(&error.to_string()))
}

/// Merges in the file's order. One whose parts or result are no tokens never makes one (llama.cpp falls back to the parts too) and is
/// left out.
fn listed_merges(vocabulary: &Vocabulary, ids: &Vocab) -> Result<Merges, TextError> {
    let mut merges = Vec::with_capacity(vocabulary.merges.len());
    let mut joined = String::new();
    for merge in &vocabulary.merges {
        let (left, right) = merge
            .split_once(' ')
            .ok_or_else(|| TextError::corrupt("a merge does not have two parts"))?;
        joined.clear();
        joined.push_str(left);
        joined.push_str(right);
        if ids.contains_key(left) && ids.contains_key(right) && ids.contains_key(&joined) {
            merges.push((left.to_owned(), right.to_owned()));
        }
    }
    Ok(merges)
}

/// Merges that scores imply (SentencePiece, `bpe_model.cc`): of all pairs of tokens that make a token, the one with the highest score
/// first.
fn implied_merges(vocabulary: &Vocabulary, ids: &Vocab) -> Result<Merges, TextError> {
    if vocabulary.scores.len() != vocabulary.tokens.len() {
        return Err(TextError::corrupt("not every token has a score"));
    }
    let scored = vocabulary.tokens.iter().zip(&vocabulary.scores).enumerate();
    let mut normal: Vec<(&str, f32)> = scored
        .filter(|(id, _)| vocabulary.token_type(*id) == TokenType::Normal)
        .map(|(_, (token, score))| (token.as_str(), *score))
        .collect();
    normal.sort_by(|(_, left), (_, right)| right.total_cmp(left));
    let splits = normal.into_iter().flat_map(|(token, _)| {
        let middles = token.char_indices().skip(1);
        middles.map(|(middle, _)| token.split_at(middle))
    });
    Ok(splits
        .filter(|(left, right)| ids.contains_key(*left) && ids.contains_key(*right))
        .map(|(left, right)| (left.to_owned(), right.to_owned()))
        .collect())
}

fn ids(vocabulary: &Vocabulary, types: &[TokenType]) -> Vocab {
    (0_u32..)
        .zip(&vocabulary.tokens)
        .filter(|&(id, _)| types.contains(&vocabulary.token_type(id as usize)))
        .map(|(id, token)| (token.clone(), id))
        .collect()
}
