//! T5 (arXiv 1910.10683) and Flan-T5: an encoder, and a decoder of which every block attends to the encoder's output.

use super::{builder::Builder, config::Config};
use crate::{
    error::ModelError,
    gguf::Header,
    graph::{Activation, Graph, ValueId, WeightId},
};

pub fn build(header: &Header) -> Result<Graph, ModelError> {
    let config = &Config::read(header, "t5")?;
    let decoder_blocks = config.integer("decoder_block_count");
    let decoder_blocks = decoder_blocks.unwrap_or(config.blocks);
    if decoder_blocks == 0 || decoder_blocks > config.blocks {
        return Err(config.unsupported(&format!("{decoder_blocks} blocks in its decoder")));
    }
    let mut b = Builder::new(header);
    let (mut x, table) = b.embed("token_embd.weight")?;
    let bias = distances(&mut b, config, "enc")?;
    for block in 0..config.blocks {
        let name = &format!("enc.blk.{block}");
        x = own_attention(&mut b, config, name, (bias, false), x)?;
        x = mlp(&mut b, config, name, x)?;
    }
    let memory = x;
    let (mut x, _) = b.embed("token_embd.weight")?;
    let bias = distances(&mut b, config, "dec")?;
    for block in 0..decoder_blocks {
        let name = &format!("dec.blk.{block}");
        x = own_attention(&mut b, config, name, (bias, true), x)?;
        x = cross_attention(&mut b, config, name, memory, x)?;
        x = mlp(&mut b, config, name, x)?;
    }
    let mut normed = b.rms_norm("dec.output_norm", config.rms_eps()?, x)?;
    if header.find("output.weight").is_none() {
        normed = b.scale(1.0 / (config.hidden as f32).sqrt(), normed);
    }
    b.logits(table, normed)?;
    b.finish("t5", config.max_context_columns)
}

/// Of all blocks of a side.
fn distances(b: &mut Builder<'_>, config: &Config<'_>, side: &str) -> Result<WeightId, ModelError> {
    let buckets = config.number("attention.relative_buckets_count")?;
    let name = format!("{side}.blk.0.attn_rel_b.weight");
    b.weight(&name, buckets, config.heads.heads)
}

fn own_attention(
    b: &mut Builder<'_>,
    config: &Config<'_>,
    block: &str,
    (bias, causal): (WeightId, bool),
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let name = |part: &str| format!("{block}.attn_{part}");
    let width = config.heads.q_width();
    let normed = b.rms_norm(&name("norm"), config.rms_eps()?, x)?;
    let q = b.linear(&name("q"), width, normed)?;
    let k = b.linear(&name("k"), width, normed)?;
    let v = b.linear(&name("v"), width, normed)?;
    let out = b.biased_attention(&config.heads, bias, causal, [q, k, v]);
    let projected = b.linear(&name("o"), config.hidden, out)?;
    Ok(b.add(x, projected))
}

/// The encoder's last norm is done here, so that what crosses from phone to phone is a residual stream everywhere.
fn cross_attention(
    b: &mut Builder<'_>,
    config: &Config<'_>,
    block: &str,
    memory: ValueId,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let name = |part: &str| format!("{block}.cross_attn_{part}");
    let (width, eps) = (config.heads.q_width(), config.rms_eps()?);
    let normed = b.rms_norm(&name("norm"), eps, x)?;
    let q = b.linear(&name("q"), width, normed)?;
    let memory = b.rms_norm("enc.output_norm", eps, memory)?;
    let k = b.linear(&name("k"), width, memory)?;
    let v = b.linear(&name("v"), width, memory)?;
    let out = b.cross_attention(&config.heads, [q, k, v]);
    let projected = b.linear(&name("o"), config.hidden, out)?;
    Ok(b.add(x, projected))
}

/// With a gate in later versions.
fn mlp(
    b: &mut Builder<'_>,
    config: &Config<'_>,
    block: &str,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let name = |part: &str| format!("{block}.ffn_{part}");
    let normed = b.rms_norm(&name("norm"), config.rms_eps()?, x)?;
    let gate = name("gate");
    let up = b.linear(&name("up"), config.feed_forward, normed)?;
    let active = match config.header.find(&format!("{gate}.weight")) {
        Some(_) => {
            let gate = b.linear(&gate, config.feed_forward, normed)?;
            b.gate(Activation::Gelu, gate, up)
        }
        None => b.activate(Activation::Relu, up),
    };
    let down = b.linear(&name("down"), config.hidden, active)?;
    Ok(b.add(x, down))
}
