//! Phi-3 (arXiv 2404.14219): llama whose queries, keys and values are one tensor, and gate and up another.

use super::{builder::Builder, config::Config};
use crate::{
    error::ModelError,
    gguf::Header,
    graph::{Activation, Graph, Pairing},
};

pub fn build(header: &Header) -> Result<Graph, ModelError> {
    let config = &Config::read(header, "phi3")?;
    let (eps, feed_forward) = (config.rms_eps()?, config.feed_forward);
    let mut heads = config.heads;
    heads.window = config
        .integer("attention.sliding_window")
        .filter(|window| *window > 0);
    let mut b = Builder::new(header);
    let frequencies = config.frequencies(&mut b)?;
    let (mut x, table) = b.embed("token_embd.weight")?;
    for block in 0..config.blocks {
        let name = |part: &str| format!("blk.{block}.{part}");
        let normed = b.rms_norm(&name("attn_norm"), eps, x)?;
        let [q, k, v] = b.fused_qkv(&name("attn_qkv"), &heads, normed)?;
        let q = b.rope(heads.head_dim, Pairing::Halves, frequencies, q);
        let k = b.rope(heads.head_dim, Pairing::Halves, frequencies, k);
        let out = b.attention(&heads, [q, k, v]);
        let projected = b.linear(&name("attn_output"), config.hidden, out)?;
        x = b.add(x, projected);

        let normed = b.rms_norm(&name("ffn_norm"), eps, x)?;
        let (up, both) = (name("ffn_up"), 2 * feed_forward);
        let gate = b.linear_rows(&up, both, 0..feed_forward, normed)?;
        let up = b.linear_rows(&up, both, feed_forward..both, normed)?;
        let gated = b.gate(Activation::Silu, gate, up);
        let down = b.linear(&name("ffn_down"), config.hidden, gated)?;
        x = b.add(x, down);
    }
    let normed = b.rms_norm("output_norm", eps, x)?;
    b.logits(table, normed)?;
    b.finish("phi3", config.max_context_columns)
}
