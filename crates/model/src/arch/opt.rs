//! OPT (arXiv 2205.01068): learned positions from row 2 on, ReLU. The 350M model has norms after each add, and an embedding that is
//! narrower than the hidden state. llama.cpp has no such architecture: names and fields are ours, in its manner.

use super::{builder::Builder, config::Config};
use crate::{
    error::ModelError,
    gguf::Header,
    graph::{Activation, Graph, ValueId},
};

/// Rows of the table before that of position 0.
const POSITION_OFFSET: u32 = 2;

pub fn build(header: &Header) -> Result<Graph, ModelError> {
    let config = &Config::read(header, "opt")?;
    let norm_first = !header
        .metadata
        .bool("opt.norm_after_add")
        .unwrap_or_default();
    let mut b = Builder::new(header);
    let positions = b.positions("position_embd.weight", POSITION_OFFSET)?;
    let (embedded, table) = b.embed("token_embd.weight")?;
    let widened = match header.find("embd_in.weight") {
        Some(_) => b.linear("embd_in", config.hidden, embedded)?,
        None => embedded,
    };
    let mut x = b.add(widened, positions);
    for block in 0..config.blocks {
        x = half(
            &mut b,
            config,
            norm_first,
            &format!("blk.{block}.attn_norm"),
            x,
            |b, x| attention(b, config, block, x),
        )?;
        x = half(
            &mut b,
            config,
            norm_first,
            &format!("blk.{block}.ffn_norm"),
            x,
            |b, x| mlp(b, config, block, x),
        )?;
    }
    if norm_first {
        x = b.layer_norm("output_norm", config.layer_eps()?, x)?;
    }
    if let Some(narrowing) = header.find("embd_out.weight") {
        x = b.linear("embd_out", narrowing.rows, x)?;
    }
    b.logits(table, x)?;
    b.finish("opt", config.max_context_columns)
}

/// Half a block with its norm and its add.
fn half<'a>(
    b: &mut Builder<'a>,
    config: &Config<'_>,
    norm_first: bool,
    norm: &str,
    x: ValueId,
    inner: impl FnOnce(&mut Builder<'a>, ValueId) -> Result<ValueId, ModelError>,
) -> Result<ValueId, ModelError> {
    let eps = config.layer_eps()?;
    if norm_first {
        let normed = b.layer_norm(norm, eps, x)?;
        let added = inner(b, normed)?;
        return Ok(b.add(x, added));
    }
    let added = inner(b, x)?;
    let sum = b.add(x, added);
    b.layer_norm(norm, eps, sum)
}

fn attention(
    b: &mut Builder<'_>,
    config: &Config<'_>,
    block: u32,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let name = |part: &str| format!("blk.{block}.attn_{part}");
    let heads = &config.heads;
    let q = b.linear(&name("q"), heads.q_width(), x)?;
    let k = b.linear(&name("k"), heads.kv_width(), x)?;
    let v = b.linear(&name("v"), heads.kv_width(), x)?;
    let out = b.attention(heads, [q, k, v]);
    b.linear(&name("output"), config.hidden, out)
}

fn mlp(
    b: &mut Builder<'_>,
    config: &Config<'_>,
    block: u32,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let up = b.linear(&format!("blk.{block}.ffn_up"), config.feed_forward, x)?;
    let active = b.activate(Activation::Relu, up);
    b.linear(&format!("blk.{block}.ffn_down"), config.hidden, active)
}
