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
    let own = Over::Own {
        bias: distances(&mut b, config, "enc")?,
        causal: false,
    };
    for block in 0..config.blocks {
        let name = &format!("enc.blk.{block}");
        x = attention(&mut b, config, &format!("{name}.attn"), &own, x)?;
        x = mlp(&mut b, config, name, x)?;
    }
    let memory = Over::Memory(x);
    let (mut x, _) = b.embed("token_embd.weight")?;
    let own = Over::Own {
        bias: distances(&mut b, config, "dec")?,
        causal: true,
    };
    for block in 0..decoder_blocks {
        let name = &format!("dec.blk.{block}");
        x = attention(&mut b, config, &format!("{name}.attn"), &own, x)?;
        x = attention(&mut b, config, &format!("{name}.cross_attn"), &memory, x)?;
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

/// What a block attends to.
enum Over {
    /// Its own columns, with this bias by distance; a decoder's only those before.
    Own { bias: WeightId, causal: bool },
    /// An encoder's output. Its last norm is done here, so that what crosses from phone to phone is a residual stream everywhere.
    Memory(ValueId),
}

/// `name`: of the block's attention, without its part.
fn attention(
    b: &mut Builder<'_>,
    config: &Config<'_>,
    name: &str,
    over: &Over,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let name = |part: &str| format!("{name}_{part}");
    let (width, eps) = (config.heads.q_width(), config.rms_eps()?);
    let normed = b.rms_norm(&name("norm"), eps, x)?;
    let q = b.linear(&name("q"), width, normed)?;
    let source = match *over {
        Over::Own { .. } => normed,
        Over::Memory(memory) => b.rms_norm("enc.output_norm", eps, memory)?,
    };
    let k = b.linear(&name("k"), width, source)?;
    let v = b.linear(&name("v"), width, source)?;
    let out = match *over {
        Over::Own { bias, causal } => b.biased_attention(&config.heads, bias, causal, [q, k, v]),
        Over::Memory(_) => b.cross_attention(&config.heads, [q, k, v]),
    };
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
