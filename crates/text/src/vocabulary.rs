//! What a model file says about its text, as plain data.

use model::gguf::{Metadata, Value};

/// Fields of `tokenizer.*` in a GGUF file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vocabulary {
    /// `tokenizer.ggml.model`: the kind of tokenizer; "gpt2" is byte-level BPE, "llama" SentencePiece BPE.
    pub model: String,
    /// `tokenizer.ggml.pre`: how text is split into words before BPE.
    pub pre: String,
    /// `tokenizer.ggml.tokens`, by id.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.merges`: "left right", best first.
    pub merges: Vec<String>,
    /// `tokenizer.ggml.scores`, by id: the higher, the earlier a merge into this token. SentencePiece only.
    pub scores: Vec<f32>,
    /// `tokenizer.ggml.token_type`, by id; empty means all are normal.
    pub token_types: Vec<i32>,
    /// `tokenizer.ggml.bos_token_id`.
    pub bos: Option<u32>,
    /// `tokenizer.ggml.eos_token_id`.
    pub eos: Option<u32>,
    /// `tokenizer.ggml.unknown_token_id`.
    pub unk: Option<u32>,
    /// `tokenizer.ggml.add_bos_token`; absent means what this pre-tokenizer's family does.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix`: whether text starts with a space. SentencePiece only; absent means yes.
    pub add_space_prefix: Option<bool>,
    /// `tokenizer.chat_template`.
    pub chat_template: Option<String>,
}

/// `tokenizer.ggml.token_type`, as far as it changes what happens to a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenType {
    /// A piece of text made by merges.
    Normal,
    /// Structure, such as the start of a message: found in text only on request, not shown.
    Control,
    /// Text that is always one token.
    UserDefined,
    /// One byte of a character that has no token, written `<0x0A>`.
    Byte,
}

impl Vocabulary {
    /// The vocabulary in a GGUF header; fields it lacks are empty.
    pub fn of(metadata: &Metadata) -> Self {
        let text = |key| metadata.str(key).map(str::to_owned);
        let texts = |key| metadata.str_array(key).unwrap_or_default().to_vec();
        let types = metadata.i32_array("tokenizer.ggml.token_type");
        let scores = metadata.f32_array("tokenizer.ggml.scores");
        Self {
            model: text("tokenizer.ggml.model").unwrap_or_default(),
            pre: text("tokenizer.ggml.pre").unwrap_or_default(),
            tokens: texts("tokenizer.ggml.tokens"),
            merges: texts("tokenizer.ggml.merges"),
            scores: scores.unwrap_or_default().to_vec(),
            token_types: types.unwrap_or_default().to_vec(),
            bos: metadata.u32("tokenizer.ggml.bos_token_id"),
            eos: metadata.u32("tokenizer.ggml.eos_token_id"),
            unk: metadata.u32("tokenizer.ggml.unknown_token_id"),
            add_bos: metadata.bool("tokenizer.ggml.add_bos_token"),
            add_space_prefix: metadata.bool("tokenizer.ggml.add_space_prefix"),
            chat_template: text("tokenizer.chat_template"),
        }
    }

    /// The fields of a GGUF header that say the same: what [`Self::of`] reads.
    pub fn fields(&self) -> Vec<(String, Value)> {
        let text = |text: &str| Some(Value::Text(text.to_owned())).filter(|_| !text.is_empty());
        let texts =
            |texts: &[String]| Some(Value::Texts(texts.to_vec())).filter(|_| !texts.is_empty());
        let id = |id: Option<u32>| id.map(|id| Value::Integer(i128::from(id)));
        let scores = Some(Value::Floats(self.scores.clone())).filter(|_| !self.scores.is_empty());
        let types = Value::Integers(self.token_types.clone());
        let types = Some(types).filter(|_| !self.token_types.is_empty());
        let fields = [
            ("tokenizer.ggml.model", text(&self.model)),
            ("tokenizer.ggml.pre", text(&self.pre)),
            ("tokenizer.ggml.tokens", texts(&self.tokens)),
            ("tokenizer.ggml.merges", texts(&self.merges)),
            ("tokenizer.ggml.scores", scores),
            ("tokenizer.ggml.token_type", types),
            ("tokenizer.ggml.bos_token_id", id(self.bos)),
            ("tokenizer.ggml.eos_token_id", id(self.eos)),
            ("tokenizer.ggml.unknown_token_id", id(self.unk)),
            (
                "tokenizer.ggml.add_bos_token",
                self.add_bos.map(Value::Bool),
            ),
            (
                "tokenizer.ggml.add_space_prefix",
                self.add_space_prefix.map(Value::Bool),
            ),
            (
                "tokenizer.chat_template",
                self.chat_template.as_deref().and_then(text),
            ),
        ];
        let given = fields.into_iter();
        given
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect()
    }

    pub(crate) fn token_type(&self, id: usize) -> TokenType {
        match self.token_types.get(id) {
            // 2 is the unknown token, 3 control, 5 unused: none of them comes from plain text.
            Some(2 | 3 | 5) => TokenType::Control,
            Some(4) => TokenType::UserDefined,
            Some(6) => TokenType::Byte,
            _ => TokenType::Normal,
        }
    }

    pub(crate) fn token(&self, id: Option<u32>) -> Option<&str> {
        self.tokens
            .get(usize::try_from(id?).ok()?)
            .map(String::as_str)
    }
}
