//! What an op reads and writes, and whether it fits: checked once, so that running needs no checks.

use model::{Graph, Op, ValueId, WeightId};

use crate::EngineError;

/// Values an op reads.
pub fn inputs(op: &Op) -> impl Iterator<Item = ValueId> {
    let inputs = match *op {
        Op::Embed { .. } => [None; 3],
        Op::RmsNorm { x, .. } | Op::Linear { x, .. } | Op::Rope { x, .. } => [Some(x), None, None],
        Op::Attention { q, k, v, .. } => [Some(q), Some(k), Some(v)],
        Op::SiluMul { gate, up, .. } => [Some(gate), Some(up), None],
        Op::Add { a, b, .. } => [Some(a), Some(b), None],
    };
    inputs.into_iter().flatten()
}

/// Value an op writes.
pub fn output(op: &Op) -> ValueId {
    match *op {
        Op::Embed { out, .. }
        | Op::RmsNorm { out, .. }
        | Op::Linear { out, .. }
        | Op::Rope { out, .. }
        | Op::Attention { out, .. }
        | Op::SiluMul { out, .. }
        | Op::Add { out, .. } => out,
    }
}

/// Weight an op reads.
pub fn weight(op: &Op) -> Option<WeightId> {
    match *op {
        Op::Embed { weight, .. } | Op::RmsNorm { weight, .. } | Op::Linear { weight, .. } => {
            Some(weight)
        }
        Op::Rope { .. } | Op::Attention { .. } | Op::SiluMul { .. } | Op::Add { .. } => None,
    }
}

/// Checks the shapes of an op's operands against each other.
///
/// # Errors
/// [`EngineError::Misuse`] that shows the op.
pub fn check(graph: &Graph, op: &Op) -> Result<(), EngineError> {
    match fits(graph, op) {
        Some(true) => Ok(()),
        _ => Err(EngineError::Misuse {
            detail: format!("operation {op:?} does not fit its operands"),
        }),
    }
}

/// `None` when an operand does not exist.
fn fits(graph: &Graph, op: &Op) -> Option<bool> {
    let width = |value: ValueId| {
        graph
            .values
            .get(value.0 as usize)
            .copied()
            .filter(|width| *width > 0)
    };
    let matrix = |weight: WeightId| {
        graph
            .weights
            .get(weight.0 as usize)
            .map(|weight| (weight.rows, weight.cols))
    };
    let out_width = width(output(op))?;
    Some(match *op {
        Op::Embed { weight, .. } => matrix(weight)? == (graph.vocabulary, out_width),
        Op::RmsNorm { x, weight, .. } => {
            matrix(weight)? == (1, out_width) && width(x)? == out_width
        }
        Op::Linear { x, weight, .. } => matrix(weight)? == (out_width, width(x)?),
        Op::Rope {
            x,
            heads,
            head_dim,
            rotary_dim,
            ..
        } => {
            let heads_fit = heads.checked_mul(head_dim)? == out_width && width(x)? == out_width;
            heads_fit && rotary_dim <= head_dim && rotary_dim > 0 && rotary_dim.is_multiple_of(2)
        }
        Op::Attention {
            q,
            k,
            v,
            heads,
            kv_heads,
            head_dim,
            cache,
            ..
        } => {
            let kv_width = kv_heads.checked_mul(head_dim)?;
            let queries_fit = heads.checked_mul(head_dim)? == out_width && width(q)? == out_width;
            let cache_fits = graph.caches.get(cache.0 as usize)?.width == kv_width;
            let keys_fit = width(k)? == kv_width && width(v)? == kv_width;
            queries_fit && keys_fit && cache_fits && heads.is_multiple_of(kv_heads)
        }
        Op::SiluMul { gate, up, .. } => width(gate)? == out_width && width(up)? == out_width,
        Op::Add { a, b, .. } => width(a)? == out_width && width(b)? == out_width,
    })
}
