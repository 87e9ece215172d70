//! BLOOM (arXiv 2211.05100): no positions but distances (ALiBi), a norm after the embedding, queries, keys and values in one tensor.

use super::{
    builder::{Builder, Heads},
    config::Config,
};
use crate::{
    error::ModelError,
    gguf::Header,
    graph::{Activation, Graph},
};

pub fn build(header: &Header) -> Result<Graph, ModelError> {
    let config = &Config::read(header, "bloom")?;
    let eps = config.layer_eps()?;
    let heads = &Heads {
        alibi: true,
        ..config.heads
    };
    let mut b = Builder::new(header);
    let (embedded, table) = b.embed("token_embd.weight")?;
    let mut x = b.layer_norm("token_embd_norm", eps, embedded)?;
    for block in 0..config.blocks {
        let name = |part: &str| format!("blk.{block}.{part}");
        let normed = b.layer_norm(&name("attn_norm"), eps, x)?;
        let qkv = b.fused_qkv(&name("attn_qkv"), heads, normed)?;
        let out = b.attention(heads, qkv);
        let projected = b.linear(&name("attn_output"), config.hidden, out)?;
        x = b.add(x, projected);
        x = b.plain_mlp(config, block, Activation::Gelu, x)?;
    }
    let normed = b.layer_norm("output_norm", eps, x)?;
    b.logits(table, normed)?;
    b.finish("bloom", config.max_context_columns)
}
