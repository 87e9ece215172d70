//! Everything that can be wrong between text and ids.

/// A vocabulary, template or sampler that cannot be used, and what to do about it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TextError {
    /// A kind of tokenizer other than byte-level or SentencePiece BPE.
    #[error("the tokenizer \"{model}\" is not supported yet")]
    Model {
        /// `tokenizer.ggml.model`.
        model: String,
    },
    /// A way of splitting text into words that is not known; guessing would give wrong ids.
    #[error("the pre-tokenizer \"{pre}\" is not supported yet")]
    PreTokenizer {
        /// `tokenizer.ggml.pre`.
        pre: String,
    },
    /// The vocabulary contradicts itself.
    #[error("the vocabulary is corrupt: {detail}")]
    Vocabulary {
        /// What, in words.
        detail: String,
    },
    /// The tokenizer refused a text.
    #[error("the text could not be split into tokens: {detail}")]
    Encode {
        /// What it said.
        detail: String,
    },
    /// The model file has no chat template.
    #[error("this model has no chat template")]
    NoChatTemplate,
    /// The chat template cannot be read, or refuses these messages.
    #[error("the model's chat template failed: {detail}")]
    ChatTemplate {
        /// What it said.
        detail: String,
    },
    /// A sampling option outside its range.
    #[error("the sampling option {option} cannot be {value}")]
    Sampling {
        /// Which one.
        option: &'static str,
        /// Value given.
        value: f32,
    },
}

impl TextError {
    pub(crate) fn corrupt(detail: &str) -> Self {
        Self::Vocabulary {
            detail: detail.to_owned(),
        }
    }

    /// Stable code for programs and bug reports.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Model { .. } => "text.model",
            Self::PreTokenizer { .. } => "text.pre_tokenizer",
            Self::Vocabulary { .. } => "text.vocabulary",
            Self::Encode { .. } => "text.encode",
            Self::NoChatTemplate => "text.no_chat_template",
            Self::ChatTemplate { .. } => "text.chat_template",
            Self::Sampling { .. } => "text.sampling",
        }
    }

    /// What a person can do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Model { .. } | Self::PreTokenizer { .. } => {
                "Choose a model with a byte-level or SentencePiece BPE tokenizer, for example SmolLM2."
            }
            Self::Vocabulary { .. } => "Download the model file again.",
            Self::Encode { .. } => "Send a shorter or simpler text.",
            Self::NoChatTemplate => {
                "Choose an instruct version of the model, or send a raw prompt."
            }
            Self::ChatTemplate { .. } => {
                "Send the messages in another order, or send a raw prompt."
            }
            Self::Sampling { .. } => {
                "Use temperature >= 0, top-p above 0 and at most 1, min-p from 0 up to 1, and a repeat penalty above 0."
            }
        }
    }
}
