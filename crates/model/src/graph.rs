//! The op graph: the only description of a model every executor interprets.

use core::ops::Range;

use serde::{Deserialize, Serialize};

use crate::dtype::DType;

/// Index into [`Graph::weights`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WeightId(pub u32);

/// Index into [`Graph::values`]: an edge of the graph, `width` elements per column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ValueId(pub u32);

/// Index into [`Graph::caches`]: one KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CacheId(pub u32);

/// A weight tensor: `rows` rows of `cols` elements, row-major; a vector is one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// Name in the model file.
    pub name: String,
    /// Storage type.
    pub dtype: DType,
    /// Outputs of a linear map, or entries of a vocabulary.
    pub rows: u32,
    /// Inputs of a linear map.
    pub cols: u32,
    /// Bytes of the tensor, from the start of the model file.
    pub range: Range<u64>,
}

/// Shape of one KV cache: `context_columns` x `width` keys and as many values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheSpec {
    /// kv_heads * head_dim.
    pub width: u32,
}

/// Which elements of a head rotate together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairing {
    /// 2i with 2i + 1: llama's tensors as GGUF has them; GPT-J.
    Neighbours,
    /// i with i + rotary_dim / 2: most others ("NeoX").
    Halves,
}

/// How fast the pairs of a head rotate: pair i turns by position * scale * base^(-2i / rotary_dim) / factors\[i\].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frequencies {
    /// Elements per head that are rotated; even.
    pub rotary_dim: u32,
    /// theta.
    pub base: f32,
    /// Below 1 where a model was stretched beyond the context it was first trained for.
    pub scale: f32,
    /// One row of rotary_dim / 2 divisors, stored as F32 (Llama 3.1).
    pub factors: Option<WeightId>,
}

/// What the elements of an MLP go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// x / (1 + e^-x).
    Silu,
    /// x * Phi(x) by way of tanh, as all models here were trained (arXiv 1606.08415, section 2).
    Gelu,
    /// max(x, 0).
    Relu,
}

/// One operation. All tensors are columns x width, f32 in the executor.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// out = weight\[token id\].
    Embed {
        /// Vocabulary x hidden.
        weight: WeightId,
        /// Hidden state.
        out: ValueId,
    },
    /// out = weight\[position + offset\]: learned positions.
    Positions {
        /// At least as many rows as the longest context plus `offset`.
        weight: WeightId,
        /// Rows before that of position 0.
        offset: u32,
        /// Output.
        out: ValueId,
    },
    /// out = x / sqrt(mean(x^2) + eps) * weight, for each run of as many elements as the weight has: a column, or a head of it.
    RmsNorm {
        /// Input.
        x: ValueId,
        /// Gain, one row.
        weight: WeightId,
        /// Added to the mean square.
        eps: f32,
        /// Output.
        out: ValueId,
    },
    /// out = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias (arXiv 1607.06450).
    LayerNorm {
        /// Input.
        x: ValueId,
        /// Gain, one row.
        weight: WeightId,
        /// One row.
        bias: WeightId,
        /// Added to the variance.
        eps: f32,
        /// Output.
        out: ValueId,
    },
    /// out\[r\] = sum over c of weight\[r, c\] * x\[c\], + bias\[r\] where there is one.
    Linear {
        /// Input, `cols` wide.
        x: ValueId,
        /// `rows` x `cols`.
        weight: WeightId,
        /// One row of `rows` elements.
        bias: Option<WeightId>,
        /// Output, `rows` wide.
        out: ValueId,
    },
    /// Rotates pairs of the first `rotary_dim` elements of each head (RoFormer, arXiv 2104.09864).
    Rope {
        /// Input, heads * head_dim wide.
        x: ValueId,
        /// Heads in `x`.
        heads: u32,
        /// Elements per head.
        head_dim: u32,
        /// Which elements make a pair.
        pairing: Pairing,
        /// How fast they rotate.
        frequencies: Frequencies,
        /// Output.
        out: ValueId,
    },
    /// Appends k and v to the cache, then causal softmax attention of q over it, grouped-query:
    /// query head h reads kv head h / (heads / kv_heads).
    Attention {
        /// heads * head_dim wide.
        q: ValueId,
        /// kv_heads * head_dim wide, already rotated.
        k: ValueId,
        /// kv_heads * head_dim wide.
        v: ValueId,
        /// Query heads.
        heads: u32,
        /// Key/value heads; divides `heads`.
        kv_heads: u32,
        /// Elements per head.
        head_dim: u32,
        /// Multiplies q.k before the softmax.
        scale: f32,
        /// A column sees itself and so many less one before it; all of them where there is none.
        window: Option<u32>,
        /// Whether a score is lowered by the distance times the head's slope (ALiBi, arXiv 2108.12409; see [`alibi_slope`]).
        alibi: bool,
        /// Cache of this op.
        cache: CacheId,
        /// heads * head_dim wide.
        out: ValueId,
    },
    /// As [`Self::Attention`] with as many key heads as query heads, but q.k is not scaled, and raised by a number that depends on
    /// the distance alone (T5, arXiv 1910.10683, section 2.1; see [`distance_bucket`]).
    BiasedAttention {
        /// heads * head_dim wide.
        q: ValueId,
        /// As wide.
        k: ValueId,
        /// As wide.
        v: ValueId,
        /// Heads.
        heads: u32,
        /// Elements per head.
        head_dim: u32,
        /// Buckets of distances x heads.
        bias: WeightId,
        /// Distances from here on share the last bucket.
        max_distance: u32,
        /// Whether a column sees itself and those before it. An encoder's columns see each other, so they come in one call.
        causal: bool,
        /// Cache of this op.
        cache: CacheId,
        /// As wide.
        out: ValueId,
    },
    /// Softmax attention of q over keys and values made of [`Graph::memory`], without scale, distance or order.
    CrossAttention {
        /// heads * head_dim wide.
        q: ValueId,
        /// As wide; columns are those of the memory.
        k: ValueId,
        /// As wide; columns are those of the memory.
        v: ValueId,
        /// Heads.
        heads: u32,
        /// Elements per head.
        head_dim: u32,
        /// Cache of this op.
        cache: CacheId,
        /// As wide.
        out: ValueId,
    },
    /// out = activation(x).
    Activate {
        /// Which.
        function: Activation,
        /// Input.
        x: ValueId,
        /// Output.
        out: ValueId,
    },
    /// out = activation(gate) * up.
    Gate {
        /// Which.
        function: Activation,
        /// Goes through the activation.
        gate: ValueId,
        /// Multiplies it.
        up: ValueId,
        /// Output.
        out: ValueId,
    },
    /// out = x * factor.
    Scale {
        /// Input.
        x: ValueId,
        /// Multiplies it.
        factor: f32,
        /// Output.
        out: ValueId,
    },
    /// out = a + b; the residual add. When it ends a unit, the result is rounded to the wire dtype.
    Add {
        /// The residual stream.
        a: ValueId,
        /// What the block adds.
        b: ValueId,
        /// Output.
        out: ValueId,
    },
}

/// ALiBi's slope of a head: 2^(-8 (h + 1) / n) for the first n heads, the largest power of two that there are, and what lies between
/// for the rest: 2^(-4 (2 (h - n) + 1) / n).
pub fn alibi_slope(head: u32, heads: u32) -> f32 {
    let power = 1_u32 << heads.max(1).ilog2();
    let steps = if head < power {
        2 * (head + 1)
    } else {
        2 * (head - power) + 1
    };
    libm::exp2(-4.0 * f64::from(steps) / f64::from(power)) as f32
}

/// T5's bucket of the distance from a query to a key, both by position: half of the buckets, or of each direction's, hold one distance
/// each; the others grow by a constant factor up to `max_distance`.
pub fn distance_bucket(
    (query, key): (usize, usize),
    buckets: u32,
    max_distance: u32,
    causal: bool,
) -> u32 {
    let of_direction = if causal { buckets } else { buckets / 2 };
    let ahead = key > query;
    let first = if ahead && !causal { of_direction } else { 0 };
    let distance = match causal && ahead {
        true => 0,
        false => key.abs_diff(query),
    };
    let exact = of_direction / 2;
    if distance < exact as usize {
        return first + distance as u32;
    }
    let times = |whole: f64| libm::log2(whole / f64::from(exact.max(1)));
    let share = times(distance as f64) / times(f64::from(max_distance));
    let grown = exact + (share * f64::from(of_direction - exact)) as u32;
    first + grown.min(of_direction.saturating_sub(1))
}

/// What a unit costs depends on its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum UnitKind {
    /// Token ids to hidden state. Unit 0, and the first of a decoder behind an encoder.
    Embedding,
    /// Attention block with its residual add.
    Attention,
    /// MLP block with its residual add.
    Mlp,
    /// Final norm and logits. Always the last unit.
    Head,
}

/// Half-open range of unit indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitRange {
    /// First unit.
    pub start: u32,
    /// One past the last unit.
    pub end: u32,
}

impl UnitRange {
    /// Units in the range.
    pub const fn len(self) -> u32 {
        self.end.saturating_sub(self.start)
    }
    /// Whether no unit is in it.
    pub const fn is_empty(self) -> bool {
        self.end <= self.start
    }
    /// Whether `unit` is in it.
    pub const fn contains(self, unit: u32) -> bool {
        self.start <= unit && unit < self.end
    }
}

/// The ops between two neighbouring legal cuts; the smallest thing that is placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its cost class.
    pub kind: UnitKind,
    /// Indices into [`Graph::ops`].
    pub ops: Range<usize>,
    /// The value that enters from the unit before; `None` for an embedding, which reads token ids.
    pub input: Option<ValueId>,
    /// The value that leaves to the next unit; for the head, the logits.
    pub output: ValueId,
    /// Weights its ops read, each once, in op order.
    pub weights: Vec<WeightId>,
    /// Caches its ops own.
    pub caches: Vec<CacheId>,
}

/// A model as operations and tensors, cut into units.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// `general.architecture`.
    pub architecture: String,
    /// Elements of the residual stream per column.
    pub hidden_width: u32,
    /// Rows of the head.
    pub vocabulary: u32,
    /// Longest context the model was trained for.
    pub max_context_columns: u32,
    /// Weight tensors; a tied tensor appears once.
    pub weights: Vec<Weight>,
    /// Width of each value.
    pub values: Vec<u32>,
    /// KV caches.
    pub caches: Vec<CacheSpec>,
    /// Operations in topological order.
    pub ops: Vec<Op>,
    /// Units in order: derived from the legal cuts, never written by hand.
    pub units: Vec<Unit>,
    /// An encoder's output, which all the units of its decoder may read however far behind they are; derived from the ops.
    pub memory: Option<ValueId>,
}
