//! The vocabulary of a Hugging Face repository: `tokenizer.json`, and what `tokenizer_config.json` adds to it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::error::TextError;
use crate::pieces::{SPACE, hexadecimal_byte};
use crate::vocabulary::Vocabulary;
use crate::words;

/// Ids a vocabulary may have: the largest known one has 262,144.
const MAX_TOKENS: u32 = 1 << 21;

#[derive(Deserialize)]
struct TokenizerFile {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    model: BpeModel,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
}

#[derive(Deserialize)]
struct BpeModel {
    /// Older files leave it out.
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    vocab: BTreeMap<String, u32>,
    #[serde(default)]
    merges: Vec<Merge>,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    unk_token: Option<String>,
}

/// "left right", or the two apart.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Joined(String),
    Pair(String, String),
}

/// `tokenizer_config.json`.
#[derive(Default, Deserialize)]
pub(crate) struct ConfigFile {
    #[serde(default)]
    bos_token: Option<TokenText>,
    #[serde(default)]
    eos_token: Option<TokenText>,
    #[serde(default)]
    pub add_bos_token: Option<bool>,
    /// One template, or several by name.
    #[serde(default)]
    chat_template: Value,
}

impl ConfigFile {
    pub fn read(text: Option<&str>) -> Result<Self, TextError> {
        match text {
            Some(text) => read("tokenizer_config.json", text),
            None => Ok(Self::default()),
        }
    }

    pub fn chat_template(&self) -> Option<String> {
        chat_template(&self.chat_template)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TokenText {
    Plain(String),
    Object { content: String },
}

impl Vocabulary {
    /// Reads `tokenizer.json` (BPE models) and, where there is one, `tokenizer_config.json`.
    ///
    /// # Errors
    /// No JSON of this form, another model than BPE, a way of splitting words that is not known.
    pub fn of_hugging_face(tokenizer: &str, config: Option<&str>) -> Result<Self, TextError> {
        let file: TokenizerFile = read("tokenizer.json", tokenizer)?;
        let config = ConfigFile::read(config)?;
        if file.model.kind.as_deref().unwrap_or("BPE") != "BPE" {
            let model = file.model.kind.unwrap_or_default();
            return Err(TextError::Model { model });
        }
        let (tokens, token_types) = tokens(&file)?;
        let id_of = |text: &Option<TokenText>| {
            let text = match text.as_ref()? {
                TokenText::Plain(text) | TokenText::Object { content: text } => text,
            };
            id(&file, text)
        };
        let unk = file.model.unk_token.as_deref();
        let is_sentence_piece = file.model.byte_fallback;
        Ok(Self {
            model: if is_sentence_piece { "llama" } else { "gpt2" }.to_owned(),
            pre: if is_sentence_piece {
                String::new()
            } else {
                words(&file.pre_tokenizer)?.to_owned()
            },
            bos: id_of(&config.bos_token),
            eos: id_of(&config.eos_token),
            unk: unk.and_then(|text| id(&file, text)),
            add_bos: config.add_bos_token,
            add_space_prefix: Some(prefixes_space(&file)),
            chat_template: config.chat_template(),
            merges: file.model.merges.into_iter().map(Merge::joined).collect(),
            scores: Vec::new(),
            tokens,
            token_types,
        })
    }
}

impl Merge {
    fn joined(self) -> String {
        match self {
            Self::Joined(text) => text,
            Self::Pair(left, right) => format!("{left} {right}"),
        }
    }
}

fn read<'a, T: Deserialize<'a>>(name: &str, text: &'a str) -> Result<T, TextError> {
    serde_json::from_str(text).map_err(|error| TextError::corrupt(&format!("{name}: {error}")))
}

fn id(file: &TokenizerFile, text: &str) -> Option<u32> {
    let mut added = file.added_tokens.iter();
    let added = added.find(|token| token.content == text);
    let added = added.map(|token| token.id);
    added.or_else(|| file.model.vocab.get(text).copied())
}

/// Texts and GGUF types by id; ids without a token are unused ones.
fn tokens(file: &TokenizerFile) -> Result<(Vec<String>, Vec<i32>), TextError> {
    const NORMAL: i32 = 1;
    const CONTROL: i32 = 3;
    const USER_DEFINED: i32 = 4;
    const UNUSED: i32 = 5;
    const BYTE: i32 = 6;
    let added = file.added_tokens.iter().map(|token| token.id);
    let last = file.model.vocab.values().copied().chain(added).max();
    let count = last.map_or(0, |last| last.saturating_add(1));
    if count > MAX_TOKENS {
        return Err(TextError::corrupt("it has ids beyond any vocabulary"));
    }
    let mut all = vec![(String::new(), UNUSED); count as usize];
    let mut set = |id: u32, text: &str, kind: i32| {
        if let Some(token) = all.get_mut(id as usize) {
            *token = (text.to_owned(), kind);
        }
    };
    for (text, &id) in &file.model.vocab {
        let is_byte = file.model.byte_fallback && hexadecimal_byte(text).is_some();
        set(id, text, if is_byte { BYTE } else { NORMAL });
    }
    for AddedToken {
        id,
        content,
        special,
    } in &file.added_tokens
    {
        set(*id, content, if *special { CONTROL } else { USER_DEFINED });
    }
    Ok(all.into_iter().unzip())
}

/// The name GGUF files have for this way of splitting text into words.
fn words(pre_tokenizer: &Value) -> Result<&'static str, TextError> {
    let steps = match pre_tokenizer.get("pretokenizers") {
        Some(Value::Array(steps)) => steps.as_slice(),
        _ => core::slice::from_ref(pre_tokenizer),
    };
    let kind = |step: &Value| step.get("type").and_then(Value::as_str).map(str::to_owned);
    let kinds: Vec<Option<String>> = steps.iter().map(kind).collect();
    let kinds: Vec<&str> = kinds
        .iter()
        .map(|kind| kind.as_deref().unwrap_or(""))
        .collect();
    let expression = steps
        .iter()
        .find_map(|step| step.pointer("/pattern/Regex")?.as_str());
    let known = match (kinds.as_slice(), expression) {
        (["ByteLevel"], _) => Some("gpt-2"),
        (["Digits", "ByteLevel"], _) => Some("smollm"),
        (["Split", "ByteLevel"], Some(expression)) => words::named(expression),
        _ => None,
    };
    known.ok_or_else(|| TextError::PreTokenizer {
        pre: expression.map_or_else(|| kinds.join(" + "), str::to_owned),
    })
}

/// SentencePiece files say it in a normalizer, newer ones in a Metaspace pre-tokenizer.
fn prefixes_space(file: &TokenizerFile) -> bool {
    let normalizers = match file.normalizer.get("normalizers") {
        Some(Value::Array(steps)) => steps.as_slice(),
        _ => core::slice::from_ref(&file.normalizer),
    };
    let prepends = |step: &Value| {
        step.get("prepend").and_then(Value::as_str) == Some(SPACE.encode_utf8(&mut [0; 4]))
    };
    let scheme = file
        .pre_tokenizer
        .get("prepend_scheme")
        .and_then(Value::as_str);
    normalizers.iter().any(prepends) || matches!(scheme, Some("first" | "always"))
}

fn chat_template(template: &Value) -> Option<String> {
    match template {
        Value::String(text) => Some(text.clone()),
        Value::Array(named) => named
            .iter()
            .find(|template| template.get("name").and_then(Value::as_str) == Some("default"))?
            .get("template")?
            .as_str()
            .map(str::to_owned),
        _ => None,
    }
}
