//! Llama (arXiv 2302.13971) as llama.cpp stores it: SmolLM2, TinyLlama and others.

use super::builder::Builder;
use crate::{
    error::ModelError,
    gguf::Header,
    graph::{Graph, Op, ValueId},
};

/// Blocks of a model, at most.
const MAX_BLOCKS: u32 = 1024;

/// What the header says about the shape.
struct Config {
    hidden: u32,
    feed_forward: u32,
    blocks: u32,
    heads: u32,
    kv_heads: u32,
    head_dim: u32,
    rotary_dim: u32,
    freq_base: f32,
    eps: f32,
    vocabulary: u32,
    max_context_columns: u32,
    tied: bool,
}

pub fn build(header: &Header) -> Result<Graph, ModelError> {
    let config = Config::read(header)?;
    let mut b = Builder::new(header);
    let table = b.weight("token_embd.weight", config.vocabulary, config.hidden)?;
    let mut x = b.value(config.hidden);
    b.op(Op::Embed {
        weight: table,
        out: x,
    });
    for block in 0..config.blocks {
        x = attention(&mut b, &config, block, x)?;
        x = mlp(&mut b, &config, block, x)?;
    }
    let normed = b.rms_norm("output_norm.weight", config.eps, x)?;
    let logits = if config.tied {
        let out = b.value(config.vocabulary);
        b.op(Op::Linear {
            x: normed,
            weight: table,
            out,
        });
        out
    } else {
        b.linear("output.weight", config.vocabulary, normed)?
    };
    Ok(b.finish("llama", config.max_context_columns, logits))
}

fn attention(
    b: &mut Builder,
    config: &Config,
    block: u32,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let name = |part: &str| format!("blk.{block}.attn_{part}.weight");
    let q_width = config.heads * config.head_dim;
    let kv_width = config.kv_heads * config.head_dim;
    let normed = b.rms_norm(&name("norm"), config.eps, x)?;
    let q = b.linear(&name("q"), q_width, normed)?;
    let k = b.linear(&name("k"), kv_width, normed)?;
    let v = b.linear(&name("v"), kv_width, normed)?;
    let q = rope(b, config, config.heads, q);
    let k = rope(b, config, config.kv_heads, k);
    let (cache, out) = (b.cache(kv_width), b.value(q_width));
    b.op(Op::Attention {
        q,
        k,
        v,
        heads: config.heads,
        kv_heads: config.kv_heads,
        head_dim: config.head_dim,
        scale: 1.0 / (config.head_dim as f32).sqrt(),
        cache,
        out,
    });
    let projected = b.linear(&name("output"), config.hidden, out)?;
    Ok(b.add(x, projected))
}

fn rope(b: &mut Builder, config: &Config, heads: u32, x: ValueId) -> ValueId {
    let out = b.value(heads * config.head_dim);
    b.op(Op::Rope {
        x,
        heads,
        head_dim: config.head_dim,
        rotary_dim: config.rotary_dim,
        freq_base: config.freq_base,
        out,
    });
    out
}

fn mlp(b: &mut Builder, config: &Config, block: u32, x: ValueId) -> Result<ValueId, ModelError> {
    let name = |part: &str| format!("blk.{block}.ffn_{part}.weight");
    let normed = b.rms_norm(&name("norm"), config.eps, x)?;
    let gate = b.linear(&name("gate"), config.feed_forward, normed)?;
    let up = b.linear(&name("up"), config.feed_forward, normed)?;
    let out = b.value(config.feed_forward);
    b.op(Op::SiluMul { gate, up, out });
    let down = b.linear(&name("down"), config.hidden, out)?;
    Ok(b.add(x, down))
}

impl Config {
    fn read(header: &Header) -> Result<Self, ModelError> {
        let metadata = &header.metadata;
        let optional = |key: &str| metadata.u32(&format!("llama.{key}"));
        let number = |key: &str| optional(key).ok_or_else(|| missing(key));
        let hidden = number("embedding_length")?;
        let heads = number("attention.head_count")?;
        let head_dim = optional("attention.key_length")
            .or_else(|| hidden.checked_div(heads))
            .unwrap_or(0);
        let config = Self {
            hidden,
            feed_forward: number("feed_forward_length")?,
            blocks: number("block_count")?,
            heads,
            kv_heads: optional("attention.head_count_kv").unwrap_or(heads),
            head_dim,
            rotary_dim: optional("rope.dimension_count").unwrap_or(head_dim),
            freq_base: metadata.f32("llama.rope.freq_base").unwrap_or(10_000.0),
            eps: metadata
                .f32("llama.attention.layer_norm_rms_epsilon")
                .ok_or_else(|| missing("attention.layer_norm_rms_epsilon"))?,
            vocabulary: header.tensor("token_embd.weight")?.rows,
            max_context_columns: number("context_length")?,
            tied: header.find("output.weight").is_none(),
        };
        config.check()?;
        refuse_scaled_rope(header)?;
        refuse_biases(header)?;
        Ok(config)
    }

    /// Whatever would make later arithmetic meaningless; shapes of weights are checked one by one.
    fn check(&self) -> Result<(), ModelError> {
        let grouped = self.kv_heads > 0 && self.heads.is_multiple_of(self.kv_heads);
        let width = self.heads.checked_mul(self.head_dim);
        let rotates = self.rotary_dim.is_multiple_of(2) && self.rotary_dim <= self.head_dim;
        let sane = self.freq_base.is_finite() && self.freq_base > 0.0 && self.eps >= 0.0;
        if grouped
            && rotates
            && sane
            && width.is_some_and(|width| width > 0)
            && self.max_context_columns > 0
            && self.blocks <= MAX_BLOCKS
        {
            return Ok(());
        }
        Err(ModelError::Corrupt {
            detail: format!(
                "{} blocks of {} heads, {} of them cached, {} elements each, {} rotated",
                self.blocks, self.heads, self.kv_heads, self.head_dim, self.rotary_dim
            ),
        })
    }
}

/// Llama 3 stretches its frequencies, others divide positions; the rope op cannot, and text would go wrong without a word.
/// llama.cpp takes a factor without a type as linear scaling.
fn refuse_scaled_rope(header: &Header) -> Result<(), ModelError> {
    let metadata = &header.metadata;
    let kind = metadata.str("llama.rope.scaling.type");
    let stretched = |key: &str| {
        metadata
            .f32(key)
            .is_some_and(|factor| factor != 1.0 && factor != 0.0)
    };
    let scaled = match kind {
        Some(kind) => kind != "none",
        None => stretched("llama.rope.scaling.factor") || stretched("llama.rope.scale_linear"),
    };
    if scaled || header.find("rope_freqs.weight").is_some() {
        return Err(unsupported("scaled rope"));
    }
    Ok(())
}

/// Some exporters add biases to the linear maps; without them text would go wrong without a word.
fn refuse_biases(header: &Header) -> Result<(), ModelError> {
    let biased = |name: &str| name.ends_with(".bias");
    if header.tensors.iter().any(|tensor| biased(&tensor.name)) {
        return Err(unsupported("biases"));
    }
    Ok(())
}

fn unsupported(what: &str) -> ModelError {
    ModelError::Architecture {
        name: format!("llama with {what}"),
    }
}

fn missing(key: &str) -> ModelError {
    ModelError::MissingField {
        key: format!("llama.{key}"),
    }
}
