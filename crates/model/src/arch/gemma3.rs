//! Gemma 3 (arXiv 2503.19786): blocks that see a window and rotate faster, every sixth sees everything; norms before and after each
//! half of a block and of each head; the embedding is scaled.

use super::{
    builder::{Builder, Heads},
    config::Config,
};
use crate::{
    error::ModelError,
    gguf::Header,
    graph::{Activation, Frequencies, Graph, Pairing, ValueId},
};

/// Where the file does not say.
const BLOCKS_PER_GLOBAL: u32 = 6;
const LOCAL_FREQ_BASE: f32 = 10_000.0;
/// The 27B model alone divides by the square root of hidden / heads instead of the head's elements.
const BLOCKS_OF_27B: u32 = 62;

pub fn build(header: &Header) -> Result<Graph, ModelError> {
    let config = &Config::read(header, "gemma3")?;
    let mut b = Builder::new(header);
    let kinds = Kinds::read(&mut b, config)?;
    let (embedded, table) = b.embed("token_embd.weight")?;
    let mut x = b.scale((config.hidden as f32).sqrt(), embedded);
    for block in 0..config.blocks {
        x = attention(&mut b, config, block, kinds.of(block), x)?;
        x = mlp(&mut b, config, block, x)?;
    }
    let normed = b.rms_norm("output_norm", config.rms_eps()?, x)?;
    b.logits(table, normed)?;
    b.finish("gemma3", config.max_context_columns)
}

/// The two kinds of attention.
struct Kinds {
    local: (Heads, Frequencies),
    global: (Heads, Frequencies),
    blocks_per_global: u32,
}

impl Kinds {
    fn read(b: &mut Builder<'_>, config: &Config<'_>) -> Result<Self, ModelError> {
        let mut heads = config.heads;
        if config.blocks == BLOCKS_OF_27B {
            heads.scale = 1.0 / (config.hidden as f32 / heads.heads as f32).sqrt();
        }
        let window = config.number("attention.sliding_window")?;
        let pattern = config.integer("attention.sliding_window_pattern");
        let softcapping = ["attn_logit_softcapping", "final_logit_softcapping"];
        let capped = |key: &&str| config.float(key).is_some_and(|cap| cap != 0.0);
        if let Some(key) = softcapping.iter().find(|key| capped(key)) {
            return Err(config.unsupported(key));
        }
        let frequencies = config.frequencies(b)?;
        let local_frequencies = Frequencies {
            base: config
                .float("rope.freq_base_swa")
                .unwrap_or(LOCAL_FREQ_BASE),
            scale: 1.0,
            ..frequencies
        };
        let local_heads = Heads {
            window: Some(window.max(1)),
            ..heads
        };
        Ok(Self {
            local: (local_heads, local_frequencies),
            global: (heads, frequencies),
            blocks_per_global: pattern.unwrap_or(BLOCKS_PER_GLOBAL).max(1),
        })
    }

    const fn of(&self, block: u32) -> &(Heads, Frequencies) {
        if (block + 1).is_multiple_of(self.blocks_per_global) {
            &self.global
        } else {
            &self.local
        }
    }
}

fn attention(
    b: &mut Builder<'_>,
    config: &Config<'_>,
    block: u32,
    (heads, frequencies): &(Heads, Frequencies),
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let name = |part: &str| format!("blk.{block}.{part}");
    let eps = config.rms_eps()?;
    let normed = b.rms_norm(&name("attn_norm"), eps, x)?;
    let q = b.linear(&name("attn_q"), heads.q_width(), normed)?;
    let k = b.linear(&name("attn_k"), heads.kv_width(), normed)?;
    let v = b.linear(&name("attn_v"), heads.kv_width(), normed)?;
    let q = b.head_norm(&name("attn_q_norm"), heads.head_dim, eps, q)?;
    let k = b.head_norm(&name("attn_k_norm"), heads.head_dim, eps, k)?;
    let q = b.rope(heads.head_dim, Pairing::Halves, *frequencies, q);
    let k = b.rope(heads.head_dim, Pairing::Halves, *frequencies, k);
    let out = b.attention(heads, [q, k, v]);
    let projected = b.linear(&name("attn_output"), config.hidden, out)?;
    let normed = b.rms_norm(&name("post_attention_norm"), eps, projected)?;
    Ok(b.add(x, normed))
}

fn mlp(
    b: &mut Builder<'_>,
    config: &Config<'_>,
    block: u32,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let name = |part: &str| format!("blk.{block}.{part}");
    let eps = config.rms_eps()?;
    let normed = b.rms_norm(&name("ffn_norm"), eps, x)?;
    let gate = b.linear(&name("ffn_gate"), config.feed_forward, normed)?;
    let up = b.linear(&name("ffn_up"), config.feed_forward, normed)?;
    let gated = b.gate(Activation::Gelu, gate, up);
    let down = b.linear(&name("ffn_down"), config.hidden, gated)?;
    let normed = b.rms_norm(&name("post_ffw_norm"), eps, down)?;
    Ok(b.add(x, normed))
}
