//! The vocabulary of a repository on disk, whichever of its usual files it has.

use std::path::Path;

use serde_json::{Value, json};
use text::Vocabulary;

use crate::{disk::read, error::Error};

/// From `tokenizer.json`, else from `vocab.json` and `merges.txt` (byte-level BPE), else from `tokenizer.model` (SentencePiece);
/// `tokenizer_config.json` adds to each.
///
/// # Errors
/// None of these files, or one that says something unknown.
pub fn vocabulary(folder: &Path) -> Result<Vocabulary, Error> {
    let has = |name: &str| folder.join(name).exists();
    let config = match has("tokenizer_config.json") {
        true => Some(text(&folder.join("tokenizer_config.json"))?),
        false => None,
    };
    if !has("tokenizer.json") && has("vocab.json") && has("merges.txt") {
        let tokenizer = byte_level(folder)?.to_string();
        return Ok(Vocabulary::of_hugging_face(&tokenizer, config.as_deref())?);
    }
    if !has("tokenizer.json") && has("tokenizer.model") {
        let model = read(&folder.join("tokenizer.model"))?;
        return Ok(Vocabulary::of_sentence_piece(&model, config.as_deref())?);
    }
    let tokenizer = text(&folder.join("tokenizer.json"))?;
    Ok(Vocabulary::of_hugging_face(&tokenizer, config.as_deref())?)
}

/// The `tokenizer.json` that `vocab.json` and `merges.txt` stand for.
fn byte_level(folder: &Path) -> Result<Value, Error> {
    let vocab = json_of(&folder.join("vocab.json"))?;
    let merges = text(&folder.join("merges.txt"))?;
    let merges: Vec<&str> = merges
        .lines()
        .filter(|line| !line.starts_with("#version") && !line.is_empty())
        .collect();
    let special = folder.join("special_tokens_map.json");
    let special = match special.exists() {
        true => json_of(&special)?,
        false => Value::Null,
    };
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

fn json_of(path: &Path) -> Result<Value, Error> {
    serde_json::from_str(&text(path)?).map_err(|error| Error::Question {
        detail: format!("{}: {error}", path.display()),
    })
}

fn text(path: &Path) -> Result<String, Error> {
    Ok(String::from_utf8_lossy(&read(path)?).into_owned())
}
