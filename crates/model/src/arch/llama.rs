//! Llama (arXiv 2302.13971): SmolLM2, Mistral, Vicuna, and Llama 3 with its stretched frequencies. Qwen is built the same way.

use super::{builder::Builder, config::Config};
use crate::{
    error::ModelError,
    gguf::Header,
    graph::{Activation, Frequencies, Graph, Pairing, ValueId},
};

/// What the families built this way differ by. Biases are used where the file has some.
pub struct Family {
    /// `general.architecture`.
    pub architecture: &'static str,
    /// Elements of a head that rotate together.
    pub pairing: Pairing,
    /// Whether every head of queries and keys is normalised before it rotates.
    pub head_norms: bool,
}

pub fn build(header: &Header) -> Result<Graph, ModelError> {
    let family = Family {
        architecture: "llama",
        pairing: Pairing::Neighbours,
        head_norms: false,
    };
    family.build(header)
}

impl Family {
    pub fn build(&self, header: &Header) -> Result<Graph, ModelError> {
        let config = &Config::read(header, self.architecture)?;
        let eps = config.rms_eps()?;
        let mut b = Builder::new(header);
        let frequencies = config.frequencies(&mut b)?;
        let (mut x, table) = b.embed("token_embd.weight")?;
        for block in 0..config.blocks {
            x = self.attention(&mut b, config, block, frequencies, x)?;
            x = mlp(&mut b, config, block, x)?;
        }
        let normed = b.rms_norm("output_norm", eps, x)?;
        b.logits(table, normed)?;
        b.finish(self.architecture, config.max_context_columns)
    }

    fn attention(
        &self,
        b: &mut Builder<'_>,
        config: &Config<'_>,
        block: u32,
        frequencies: Frequencies,
        x: ValueId,
    ) -> Result<ValueId, ModelError> {
        let name = |part: &str| format!("blk.{block}.attn_{part}");
        let (heads, head_dim, eps) = (&config.heads, config.heads.head_dim, config.rms_eps()?);
        let normed = b.rms_norm(&name("norm"), eps, x)?;
        let mut q = b.linear(&name("q"), heads.q_width(), normed)?;
        let mut k = b.linear(&name("k"), heads.kv_width(), normed)?;
        let v = b.linear(&name("v"), heads.kv_width(), normed)?;
        if self.head_norms {
            q = b.head_norm(&name("q_norm"), head_dim, eps, q)?;
            k = b.head_norm(&name("k_norm"), head_dim, eps, k)?;
        }
        let q = b.rope(head_dim, self.pairing, frequencies, q);
        let k = b.rope(head_dim, self.pairing, frequencies, k);
        let out = b.attention(heads, [q, k, v]);
        let projected = b.linear(&name("output"), config.hidden, out)?;
        Ok(b.add(x, projected))
    }
}

fn mlp(
    b: &mut Builder<'_>,
    config: &Config<'_>,
    block: u32,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let name = |part: &str| format!("blk.{block}.ffn_{part}");
    let normed = b.rms_norm(&name("norm"), config.rms_eps()?, x)?;
    let gate = b.linear(&name("gate"), config.feed_forward, normed)?;
    let up = b.linear(&name("up"), config.feed_forward, normed)?;
    let gated = b.gate(Activation::Silu, gate, up);
    let down = b.linear(&name("down"), config.hidden, gated)?;
    Ok(b.add(x, down))
}
