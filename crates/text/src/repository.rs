//! What the files of a Hugging Face repository say about its text.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{error::TextError, vocabulary::Vocabulary};

impl Vocabulary {
    /// Files that say it; a repository has some of them.
    pub const FILES: [&str; 6] = [
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.json",
        "merges.txt",
        "special_tokens_map.json",
        "tokenizer.model",
    ];

    /// From [`Self::FILES`], those there are: `tokenizer.json`, else `vocab.json` and `merges.txt` (byte-level BPE), else
    /// `tokenizer.model` (SentencePiece); `tokenizer_config.json` adds to each.
    ///
    /// # Errors
    /// None of them, or one that says something unknown.
    pub fn of_repository(files: &BTreeMap<&str, Vec<u8>>) -> Result<Self, TextError> {
        let text = |name: &str| files.get(name).map(|bytes| String::from_utf8_lossy(bytes));
        let config = text("tokenizer_config.json");
        let config = config.as_deref();
        if let Some(tokenizer) = text("tokenizer.json") {
            return Self::of_hugging_face(&tokenizer, config);
        }
        if let (Some(vocab), Some(merges)) = (text("vocab.json"), text("merges.txt")) {
            let special = text("special_tokens_map.json");
            let tokenizer = byte_level(&vocab, &merges, special.as_deref())?;
            return Self::of_hugging_face(&tokenizer.to_string(), config);
        }
        match files.get("tokenizer.model") {
            Some(model) => Self::of_sentence_piece(model, config),
            None => Err(TextError::corrupt("the repository has no tokenizer")),
        }
    }
}

/// The `tokenizer.json` that `vocab.json` and `merges.txt` stand for.
fn byte_level(vocab: &str, merges: &str, special: Option<&str>) -> Result<Value, TextError> {
    let vocab = read("vocab.json", vocab)?;
    let special = special.map(|text| read("special_tokens_map.json", text));
    let special = special.transpose()?.unwrap_or_default();
    let merges: Vec<&str> = merges
        .lines()
        .filter(|line| !line.starts_with("#version") && !line.is_empty())
        .collect();
    let added: Vec<Value> = special
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, token)| token.as_str().or_else(|| token.get("content")?.as_str()))
        .filter_map(|token| {
            Some(json!({ "id": vocab.get(token)?, "content": token, "special": true }))
        })
        .collect();
    Ok(json!({
        "added_tokens": added,
        "pre_tokenizer": { "type": "ByteLevel" },
        "model": { "type": "BPE", "vocab": vocab, "merges": merges },
    }))
}

fn read(name: &str, text: &str) -> Result<Value, TextError> {
    serde_json::from_str(text).map_err(|error| TextError::corrupt(&format!("{name}: {error}")))
}
