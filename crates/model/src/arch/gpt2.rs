//! GPT-2 (Radford et al. 2019): learned positions, LayerNorm, queries, keys and values in one tensor.

use super::{builder::Builder, config::Config};
use crate::{
    error::ModelError,
    gguf::Header,
    graph::{Activation, Graph},
};

pub fn build(header: &Header) -> Result<Graph, ModelError> {
    let config = &Config::read(header, "gpt2")?;
    let (heads, eps) = (&config.heads, config.layer_eps()?);
    let mut b = Builder::new(header);
    let positions = b.positions("position_embd.weight", 0)?;
    let (embedded, table) = b.embed("token_embd.weight")?;
    let mut x = b.add(embedded, positions);
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
    b.finish("gpt2", config.max_context_columns)
}
