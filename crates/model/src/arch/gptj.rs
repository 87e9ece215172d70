//! GPT-J (Wang and Komatsuzaki 2021): attention and MLP read the same norm and are added at once, so a block has one cut; some of
//! each head rotates; the head has a bias. llama.cpp has no such architecture: names and fields are ours, in its manner.

use super::{builder::Builder, config::Config};
use crate::{
    error::ModelError,
    gguf::Header,
    graph::{Activation, Graph, Pairing},
};

pub fn build(header: &Header) -> Result<Graph, ModelError> {
    let config = &Config::read(header, "gptj")?;
    let (heads, head_dim, eps) = (&config.heads, config.heads.head_dim, config.layer_eps()?);
    let mut b = Builder::new(header);
    let frequencies = config.frequencies(&mut b)?;
    let (mut x, table) = b.embed("token_embd.weight")?;
    for block in 0..config.blocks {
        let name = |part: &str| format!("blk.{block}.{part}");
        let normed = b.layer_norm(&name("attn_norm"), eps, x)?;
        let q = b.linear(&name("attn_q"), heads.q_width(), normed)?;
        let k = b.linear(&name("attn_k"), heads.kv_width(), normed)?;
        let v = b.linear(&name("attn_v"), heads.kv_width(), normed)?;
        let q = b.rope(head_dim, Pairing::Neighbours, frequencies, q);
        let k = b.rope(head_dim, Pairing::Neighbours, frequencies, k);
        let out = b.attention(heads, [q, k, v]);
        let attended = b.linear(&name("attn_output"), config.hidden, out)?;
        let up = b.linear(&name("ffn_up"), config.feed_forward, normed)?;
        let active = b.activate(Activation::Gelu, up);
        let down = b.linear(&name("ffn_down"), config.hidden, active)?;
        let both = b.add(attended, down);
        x = b.add(x, both);
    }
    let normed = b.layer_norm("output_norm", eps, x)?;
    b.logits(table, normed)?;
    b.finish("gptj", config.max_context_columns)
}
