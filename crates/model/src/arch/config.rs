//! What the header of a decoder says about its shape: keys that all architectures share, under the architecture's name.

use super::builder::{Builder, Heads};
use crate::{error::ModelError, gguf::Header, graph::Frequencies};

/// Blocks of a model, at most.
const MAX_BLOCKS: u32 = 1024;

/// Shape of a decoder.
pub struct Config<'a> {
    /// Where more is to be read.
    pub header: &'a Header,
    /// `general.architecture`.
    pub architecture: &'a str,
    /// Elements of the residual stream.
    pub hidden: u32,
    /// Elements between the two maps of an MLP.
    pub feed_forward: u32,
    /// Blocks.
    pub blocks: u32,
    /// Attention.
    pub heads: Heads,
    /// Longest context it was trained for.
    pub max_context_columns: u32,
}

impl<'a> Config<'a> {
    /// # Errors
    /// Fields that are missing or would make later arithmetic meaningless; shapes of tensors are checked one by one.
    pub fn read(header: &'a Header, architecture: &'a str) -> Result<Self, ModelError> {
        let fields = Fields {
            header,
            architecture,
        };
        let hidden = fields.number("embedding_length")?;
        let heads = fields.number("attention.head_count")?;
        let head_dim = fields
            .optional("attention.key_length")
            .or_else(|| hidden.checked_div(heads))
            .unwrap_or(0);
        let config = Self {
            header,
            architecture,
            hidden,
            feed_forward: fields.number("feed_forward_length")?,
            blocks: fields.number("block_count")?,
            heads: Heads {
                heads,
                kv_heads: fields.optional("attention.head_count_kv").unwrap_or(heads),
                head_dim,
                scale: 1.0 / (head_dim as f32).sqrt(),
                window: None,
                alibi: false,
            },
            max_context_columns: fields.number("context_length")?,
        };
        let value_dim = fields.optional("attention.value_length");
        if config.is_sane() && value_dim.is_none_or(|value_dim| value_dim == head_dim) {
            return Ok(config);
        }
        Err(ModelError::Corrupt {
            detail: format!(
                "{} blocks of {heads} heads, {} of them cached, {head_dim} elements each",
                config.blocks, config.heads.kv_heads
            ),
        })
    }

    fn is_sane(&self) -> bool {
        let Heads {
            heads,
            kv_heads,
            head_dim,
            ..
        } = self.heads;
        // Three times: a tensor may hold queries, keys and values.
        let width = heads
            .checked_mul(head_dim)
            .and_then(|width| width.checked_mul(3));
        let grouped = kv_heads > 0 && heads.is_multiple_of(kv_heads);
        let wide = width.is_some_and(|width| width > 0);
        let fused = self.feed_forward.checked_mul(2).is_some();
        grouped && wide && fused && self.max_context_columns > 0 && self.blocks <= MAX_BLOCKS
    }

    /// `attention.layer_norm_rms_epsilon`.
    pub fn rms_eps(&self) -> Result<f32, ModelError> {
        self.eps("attention.layer_norm_rms_epsilon")
    }

    /// `attention.layer_norm_epsilon`.
    pub fn layer_eps(&self) -> Result<f32, ModelError> {
        self.eps("attention.layer_norm_epsilon")
    }

    fn eps(&self, key: &str) -> Result<f32, ModelError> {
        let eps = self.float(key).filter(|eps| *eps >= 0.0);
        eps.ok_or_else(|| self.fields().missing(key))
    }

    /// A float under the architecture's name.
    pub fn float(&self, key: &str) -> Option<f32> {
        self.header.metadata.f32(&self.fields().key(key))
    }

    /// An integer under the architecture's name.
    pub fn integer(&self, key: &str) -> Option<u32> {
        self.fields().optional(key)
    }

    /// An integer under the architecture's name that cannot be done without.
    pub fn number(&self, key: &str) -> Result<u32, ModelError> {
        self.fields().number(key)
    }

    /// Rotation of a decoder that rotates all its heads alike.
    ///
    /// # Errors
    /// Kinds of scaling that are not linear: text would go wrong without a word.
    pub fn frequencies(&self, b: &mut Builder<'_>) -> Result<Frequencies, ModelError> {
        let head_dim = self.heads.head_dim;
        let rotary_dim = self.integer("rope.dimension_count").unwrap_or(head_dim);
        let frequencies = Frequencies {
            rotary_dim,
            base: self.float("rope.freq_base").unwrap_or(10_000.0),
            scale: self.linear_scale()?,
            factors: b.frequency_factors(rotary_dim)?,
        };
        let sane = frequencies.base.is_finite() && frequencies.base > 0.0;
        if sane && rotary_dim > 0 && rotary_dim.is_multiple_of(2) && rotary_dim <= head_dim {
            return Ok(frequencies);
        }
        Err(ModelError::Corrupt {
            detail: format!(
                "{rotary_dim} of {head_dim} elements rotate with base {}",
                frequencies.base
            ),
        })
    }

    /// llama.cpp takes a factor without a type as linear scaling.
    fn linear_scale(&self) -> Result<f32, ModelError> {
        let kind = self.fields().key("rope.scaling.type");
        let factor = || {
            let factor = self.float("rope.scaling.factor");
            let factor = factor.or_else(|| self.float("rope.scale_linear"));
            factor.filter(|factor| *factor != 0.0).unwrap_or(1.0)
        };
        let factor = match self.header.metadata.str(&kind) {
            Some("none") => 1.0,
            Some("linear") | None => factor(),
            Some(kind) => return Err(self.unsupported(&format!("{kind} scaling of its context"))),
        };
        if factor.is_finite() && factor > 0.0 {
            Ok(1.0 / factor)
        } else {
            Err(self.unsupported(&format!("a context scaled by {factor}")))
        }
    }

    /// A variant that has no builder.
    pub fn unsupported(&self, what: &str) -> ModelError {
        ModelError::Architecture {
            name: format!("{} with {what}", self.architecture),
        }
    }

    const fn fields(&self) -> Fields<'a> {
        Fields {
            header: self.header,
            architecture: self.architecture,
        }
    }
}

/// Metadata under the architecture's name.
struct Fields<'a> {
    header: &'a Header,
    architecture: &'a str,
}

impl Fields<'_> {
    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    fn optional(&self, key: &str) -> Option<u32> {
        self.header.metadata.u32(&self.key(key))
    }

    fn number(&self, key: &str) -> Result<u32, ModelError> {
        self.optional(key).ok_or_else(|| self.missing(key))
    }

    fn missing(&self, key: &str) -> ModelError {
        ModelError::MissingField { key: self.key(key) }
    }
}
