//! Ops, values and weights in the order a model uses them.

use core::ops::Range;
use std::collections::BTreeSet;

use super::config::Config;
use crate::{
    error::ModelError,
    gguf::{Header, Tensor},
    graph::{
        Activation, CacheId, CacheSpec, Frequencies, Graph, Op, Pairing, ValueId, Weight, WeightId,
    },
};

/// A graph that grows op by op.
pub struct Builder<'a> {
    header: &'a Header,
    weights: Vec<Weight>,
    values: Vec<u32>,
    caches: Vec<CacheSpec>,
    ops: Vec<Op>,
    used: BTreeSet<&'a str>,
}

/// Distances from here on share a bucket; no file says otherwise (T5, Flan-T5).
const T5_MAX_DISTANCE: u32 = 128;

/// Attention as most architectures have it.
#[derive(Clone, Copy)]
pub struct Heads {
    /// Query heads.
    pub heads: u32,
    /// Key/value heads; divides `heads`.
    pub kv_heads: u32,
    /// Elements per head.
    pub head_dim: u32,
    /// Multiplies q.k.
    pub scale: f32,
    /// Columns a column sees.
    pub window: Option<u32>,
    /// Whether distance lowers scores.
    pub alibi: bool,
}

impl Heads {
    pub const fn q_width(&self) -> u32 {
        self.heads * self.head_dim
    }

    pub const fn kv_width(&self) -> u32 {
        self.kv_heads * self.head_dim
    }
}

impl<'a> Builder<'a> {
    pub fn new(header: &'a Header) -> Self {
        Self {
            header,
            weights: Vec::new(),
            values: Vec::new(),
            caches: Vec::new(),
            ops: Vec::new(),
            used: BTreeSet::new(),
        }
    }

    /// Row of `name` for each token, and the weight for a head that is tied to it.
    pub fn embed(&mut self, name: &str) -> Result<(ValueId, WeightId), ModelError> {
        let table = self.header.tensor(name)?;
        let weight = self.weight(name, table.rows, table.cols)?;
        let out = self.value(table.cols);
        self.op(Op::Embed { weight, out });
        Ok((out, weight))
    }

    /// Row of `name` for each position.
    pub fn positions(&mut self, name: &str, offset: u32) -> Result<ValueId, ModelError> {
        let table = self.header.tensor(name)?;
        let weight = self.weight(name, table.rows, table.cols)?;
        let out = self.value(table.cols);
        self.op(Op::Positions {
            weight,
            offset,
            out,
        });
        Ok(out)
    }

    pub fn rms_norm(&mut self, name: &str, eps: f32, x: ValueId) -> Result<ValueId, ModelError> {
        self.head_norm(name, self.width(x), eps, x)
    }

    /// Every `head_dim` elements are normalised on their own.
    pub fn head_norm(
        &mut self,
        name: &str,
        head_dim: u32,
        eps: f32,
        x: ValueId,
    ) -> Result<ValueId, ModelError> {
        let weight = self.weight(&format!("{name}.weight"), 1, head_dim)?;
        let out = self.value(self.width(x));
        self.op(Op::RmsNorm {
            x,
            weight,
            eps,
            out,
        });
        Ok(out)
    }

    pub fn layer_norm(&mut self, name: &str, eps: f32, x: ValueId) -> Result<ValueId, ModelError> {
        let width = self.width(x);
        let weight = self.weight(&format!("{name}.weight"), 1, width)?;
        let bias = self.weight(&format!("{name}.bias"), 1, width)?;
        let out = self.value(width);
        self.op(Op::LayerNorm {
            x,
            weight,
            bias,
            eps,
            out,
        });
        Ok(out)
    }

    /// out = weight x + bias, with a bias where the file has one.
    pub fn linear(&mut self, name: &str, rows: u32, x: ValueId) -> Result<ValueId, ModelError> {
        self.linear_rows(name, rows, 0..rows, x)
    }

    /// The same with some of the `all` rows only: tensors that hold several maps are used one map at a time.
    pub fn linear_rows(
        &mut self,
        name: &str,
        all: u32,
        rows: Range<u32>,
        x: ValueId,
    ) -> Result<ValueId, ModelError> {
        let (weight_name, bias_name) = (format!("{name}.weight"), format!("{name}.bias"));
        let cols = self.width(x);
        let weight = self.tensor(&weight_name, all, cols)?;
        let weight = self.push(weight, rows.clone(), 0..cols)?;
        let bias = match self.header.find(&bias_name) {
            Some(_) => {
                let bias = self.tensor(&bias_name, 1, all)?;
                Some(self.push(bias, 0..1, rows.clone())?)
            }
            None => None,
        };
        Ok(self.linear_of(weight, bias, rows.end - rows.start, x))
    }

    /// Queries, keys and values out of one tensor that holds their maps one after the other.
    pub fn fused_qkv(
        &mut self,
        name: &str,
        heads: &Heads,
        x: ValueId,
    ) -> Result<[ValueId; 3], ModelError> {
        let (q_end, k_end) = (heads.q_width(), heads.q_width() + heads.kv_width());
        let all = k_end + heads.kv_width();
        Ok([
            self.linear_rows(name, all, 0..q_end, x)?,
            self.linear_rows(name, all, q_end..k_end, x)?,
            self.linear_rows(name, all, k_end..all, x)?,
        ])
    }

    /// Norm, map, activation, map, and the add around them: the MLP of models without a gate.
    pub fn plain_mlp(
        &mut self,
        config: &Config<'_>,
        block: u32,
        function: Activation,
        x: ValueId,
    ) -> Result<ValueId, ModelError> {
        let name = |part: &str| format!("blk.{block}.ffn_{part}");
        let normed = self.layer_norm(&name("norm"), config.layer_eps()?, x)?;
        let up = self.linear(&name("up"), config.feed_forward, normed)?;
        let active = self.activate(function, up);
        let down = self.linear(&name("down"), config.hidden, active)?;
        Ok(self.add(x, down))
    }

    /// Logits: `output.weight` where the file has one, else the embedding's table.
    pub fn logits(&mut self, table: WeightId, x: ValueId) -> Result<(), ModelError> {
        let rows = self
            .weights
            .get(table.0 as usize)
            .map_or(0, |table| table.rows);
        if self.header.find("output.weight").is_some() {
            self.linear("output", rows, x)?;
        } else {
            self.linear_of(table, None, rows, x);
        }
        Ok(())
    }

    pub fn rope(
        &mut self,
        head_dim: u32,
        pairing: Pairing,
        frequencies: Frequencies,
        x: ValueId,
    ) -> ValueId {
        let width = self.width(x);
        let out = self.value(width);
        self.op(Op::Rope {
            x,
            heads: width / head_dim.max(1),
            head_dim,
            pairing,
            frequencies,
            out,
        });
        out
    }

    /// Divisors of the frequencies, where the file has some.
    pub fn frequency_factors(&mut self, rotary_dim: u32) -> Result<Option<WeightId>, ModelError> {
        let name = "rope_freqs.weight";
        match self.header.find(name) {
            Some(_) => self.weight(name, 1, rotary_dim / 2).map(Some),
            None => Ok(None),
        }
    }

    pub fn attention(&mut self, heads: &Heads, [q, k, v]: [ValueId; 3]) -> ValueId {
        let (cache, out) = self.own_heads(heads);
        self.op(Op::Attention {
            q,
            k,
            v,
            heads: heads.heads,
            kv_heads: heads.kv_heads,
            head_dim: heads.head_dim,
            scale: heads.scale,
            window: heads.window,
            alibi: heads.alibi,
            cache,
            out,
        });
        out
    }

    /// Attention whose scores distance raises by `bias`; no scale.
    pub fn biased_attention(
        &mut self,
        heads: &Heads,
        bias: WeightId,
        causal: bool,
        [q, k, v]: [ValueId; 3],
    ) -> ValueId {
        let (cache, out) = self.own_heads(heads);
        self.op(Op::BiasedAttention {
            q,
            k,
            v,
            heads: heads.heads,
            head_dim: heads.head_dim,
            bias,
            max_distance: T5_MAX_DISTANCE,
            causal,
            cache,
            out,
        });
        out
    }

    /// Attention to what an encoder left behind.
    pub fn cross_attention(&mut self, heads: &Heads, [q, k, v]: [ValueId; 3]) -> ValueId {
        let (cache, out) = self.own_heads(heads);
        self.op(Op::CrossAttention {
            q,
            k,
            v,
            heads: heads.heads,
            head_dim: heads.head_dim,
            cache,
            out,
        });
        out
    }

    /// Cache and output of attention.
    fn own_heads(&mut self, heads: &Heads) -> (CacheId, ValueId) {
        self.caches.push(CacheSpec {
            width: heads.kv_width(),
        });
        let cache = CacheId(self.caches.len() as u32 - 1);
        (cache, self.value(heads.q_width()))
    }

    pub fn activate(&mut self, function: Activation, x: ValueId) -> ValueId {
        let out = self.value(self.width(x));
        self.op(Op::Activate { function, x, out });
        out
    }

    pub fn gate(&mut self, function: Activation, gate: ValueId, up: ValueId) -> ValueId {
        let out = self.value(self.width(gate));
        self.op(Op::Gate {
            function,
            gate,
            up,
            out,
        });
        out
    }

    pub fn scale(&mut self, factor: f32, x: ValueId) -> ValueId {
        let out = self.value(self.width(x));
        self.op(Op::Scale { x, factor, out });
        out
    }

    pub fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        let out = self.value(self.width(a));
        self.op(Op::Add { a, b, out });
        out
    }

    /// The finished graph, cut into units; its last op made the logits.
    ///
    /// # Errors
    /// A tensor that no op reads: without it, text would go wrong without a word.
    pub fn finish(self, architecture: &str, max_context_columns: u32) -> Result<Graph, ModelError> {
        let unused = |tensor: &&Tensor| !self.used.contains(tensor.name.as_str());
        if let Some(tensor) = self.header.tensors.iter().find(unused) {
            return Err(ModelError::Architecture {
                name: format!("{architecture} with {}", tensor.name),
            });
        }
        Ok(Graph::new(
            architecture,
            max_context_columns,
            self.weights,
            self.values,
            self.caches,
            self.ops,
        ))
    }

    fn op(&mut self, op: Op) {
        self.ops.push(op);
    }

    fn value(&mut self, width: u32) -> ValueId {
        self.values.push(width);
        ValueId(self.values.len() as u32 - 1)
    }

    fn width(&self, value: ValueId) -> u32 {
        self.values.get(value.0 as usize).copied().unwrap_or(0)
    }

    fn linear_of(
        &mut self,
        weight: WeightId,
        bias: Option<WeightId>,
        rows: u32,
        x: ValueId,
    ) -> ValueId {
        let out = self.value(rows);
        self.op(Op::Linear {
            x,
            weight,
            bias,
            out,
        });
        out
    }

    /// A whole tensor of the file that must be `rows` x `cols`; the same weight each time.
    pub fn weight(&mut self, name: &str, rows: u32, cols: u32) -> Result<WeightId, ModelError> {
        let tensor = self.tensor(name, rows, cols)?;
        let mut known = (0..).map(WeightId).zip(&self.weights);
        match known.find(|(_, weight)| weight.range == tensor.range) {
            Some((known, _)) => Ok(known),
            None => self.push(tensor, 0..rows, 0..cols),
        }
    }

    fn tensor(&mut self, name: &str, rows: u32, cols: u32) -> Result<&'a Tensor, ModelError> {
        let tensor = self.header.tensor(name)?;
        if (tensor.rows, tensor.cols) != (rows, cols) {
            let detail = format!(
                "tensor {name} is {} x {} where {rows} x {cols} belongs",
                tensor.rows, tensor.cols
            );
            return Err(ModelError::Corrupt { detail });
        }
        self.used.insert(&tensor.name);
        Ok(tensor)
    }

    /// Some rows of a tensor, or some elements of one of a single row: either way its bytes are one range.
    fn push(
        &mut self,
        tensor: &Tensor,
        rows: Range<u32>,
        cols: Range<u32>,
    ) -> Result<WeightId, ModelError> {
        let row_bytes = |cols: u32| tensor.dtype.row_bytes(cols);
        let place = || {
            let start = u64::from(rows.start) * row_bytes(tensor.cols)? + row_bytes(cols.start)?;
            let len = u64::from(rows.end.checked_sub(rows.start)?)
                * row_bytes(cols.end.checked_sub(cols.start)?)?;
            Some(tensor.range.start + start..tensor.range.start + start + len)
        };
        let range = place().ok_or_else(|| ModelError::Corrupt {
            detail: format!("tensor {} cannot be cut at {}", tensor.name, cols.start),
        })?;
        self.weights.push(Weight {
            name: tensor.name.clone(),
            dtype: tensor.dtype,
            rows: rows.end - rows.start,
            cols: cols.end - cols.start,
            range,
        });
        Ok(WeightId(self.weights.len() as u32 - 1))
    }
}
