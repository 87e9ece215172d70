//! Whether an op fits what it reads and writes: checked once, so that running needs no checks.

use model::{DType, Graph, Op, ValueId, WeightId};

use crate::EngineError;

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
    let out_width = width(op.output())?;
    let all_as_wide = |values: [ValueId; 3]| values.iter().all(|x| width(*x) == Some(out_width));
    let is_row = |weight: WeightId, cols: u32| Some(matrix(weight)? == (1, cols));
    Some(match *op {
        Op::Embed { weight, .. } => matrix(weight)? == (graph.vocabulary, out_width),
        Op::Positions { weight, .. } => matrix(weight)?.1 == out_width,
        Op::RmsNorm { x, weight, .. } => {
            let (rows, cols) = matrix(weight)?;
            rows == 1 && width(x)? == out_width && out_width.checked_rem(cols)? == 0
        }
        Op::LayerNorm {
            x, weight, bias, ..
        } => {
            let rows_fit = is_row(weight, out_width)? && is_row(bias, out_width)?;
            rows_fit && width(x)? == out_width
        }
        Op::Linear {
            x, weight, bias, ..
        } => {
            let bias_fits = match bias {
                Some(bias) => is_row(bias, out_width)?,
                None => true,
            };
            bias_fits && matrix(weight)? == (out_width, width(x)?)
        }
        Op::Rope {
            x,
            heads,
            head_dim,
            frequencies,
            ..
        } => {
            let rotary_dim = frequencies.rotary_dim;
            let heads_fit = heads.checked_mul(head_dim)? == out_width && width(x)? == out_width;
            let factors_fit = match frequencies.factors {
                Some(factors) => is_row(factors, rotary_dim / 2)? && is_f32(graph, factors),
                None => true,
            };
            let rotates = rotary_dim > 0 && rotary_dim.is_multiple_of(2);
            heads_fit && factors_fit && rotates && rotary_dim <= head_dim
        }
        Op::Attention {
            q,
            k,
            v,
            heads,
            kv_heads,
            head_dim,
            window,
            cache,
            ..
        } => {
            let kv_width = kv_heads.checked_mul(head_dim)?;
            let queries_fit = heads.checked_mul(head_dim)? == out_width && width(q)? == out_width;
            let cache_fits = graph.caches.get(cache.0 as usize)?.width == kv_width;
            let keys_fit = width(k)? == kv_width && width(v)? == kv_width;
            let sees_itself = window.is_none_or(|window| window > 0);
            let heads_fit = heads.is_multiple_of(kv_heads) && sees_itself;
            queries_fit && keys_fit && cache_fits && heads_fit
        }
        Op::BiasedAttention {
            q,
            k,
            v,
            heads,
            head_dim,
            bias,
            max_distance,
            cache,
            ..
        } => {
            let (buckets, of_heads) = matrix(bias)?;
            let grows = buckets >= 4 && max_distance > buckets && buckets.is_multiple_of(4);
            let heads_fit = heads.checked_mul(head_dim)? == out_width && of_heads == heads;
            let cache_fits = graph.caches.get(cache.0 as usize)?.width == out_width;
            heads_fit && cache_fits && grows && all_as_wide([q, k, v])
        }
        Op::CrossAttention {
            q,
            k,
            v,
            heads,
            head_dim,
            cache,
            ..
        } => {
            let heads_fit = heads.checked_mul(head_dim)? == out_width;
            let cache_fits = graph.caches.get(cache.0 as usize)?.width == out_width;
            heads_fit && cache_fits && all_as_wide([q, k, v])
        }
        Op::Gate { gate, up, .. } => width(gate)? == out_width && width(up)? == out_width,
        Op::Activate { x, .. } | Op::Scale { x, .. } => width(x)? == out_width,
        Op::Add { a, b, .. } => width(a)? == out_width && width(b)? == out_width,
    })
}

fn is_f32(graph: &Graph, weight: WeightId) -> bool {
    let weight = graph.weights.get(weight.0 as usize);
    weight.is_some_and(|weight| weight.dtype == DType::F32)
}
