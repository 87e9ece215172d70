//! What a model file says about its text, as plain data.

/// Fields of `tokenizer.*` in a GGUF file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vocabulary {
    /// `tokenizer.ggml.model`: the kind of tokenizer; "gpt2" is byte-level BPE.
    pub model: String,
    /// `tokenizer.ggml.pre`: how text is split into words before BPE.
    pub pre: String,
    /// `tokenizer.ggml.tokens`, by id.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.merges`: "left right", best first.
    pub merges: Vec<String>,
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
}

impl Vocabulary {
    pub(crate) fn token_type(&self, id: usize) -> TokenType {
        match self.token_types.get(id) {
            // 2 is the unknown token, 3 control, 5 unused: none of them comes from plain text.
            Some(2 | 3 | 5) => TokenType::Control,
            Some(4) => TokenType::UserDefined,
            _ => TokenType::Normal,
        }
    }

    pub(crate) fn token(&self, id: Option<u32>) -> Option<&str> {
        self.tokens
            .get(usize::try_from(id?).ok()?)
            .map(String::as_str)
    }
}
