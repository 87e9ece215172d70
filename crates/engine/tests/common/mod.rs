//! Llama graphs of any shape, without a model file.

use engine::{Executor, Input, Phase, Setup, Step, Want};
use model::{CacheId, CacheSpec, DType, Graph, NumericClass, Op, Unit, UnitKind, UnitRange, ValueId, Weight, WeightId, WireDtype};

#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub hidden: u32,
    pub feed_forward: u32,
    pub heads: u32,
    pub kv_heads: u32,
    pub head_dim: u32,
    pub layers: u32,
    pub vocabulary: u32,
    pub embedding: DType,
    pub matrices: DType,
}

impl Shape {
    pub const SMOLLM2: Self = Self {
        hidden: 576,
        feed_forward: 1536,
        heads: 9,
        kv_heads: 3,
        head_dim: 64,
        layers: 30,
        vocabulary: 49152,
        embedding: DType::Q8_0,
        matrices: DType::Q4_1,
    };
}

/// A llama with tied embeddings.
pub fn llama(shape: Shape) -> Graph {
    let mut b = Builder { weights: vec![], values: vec![], ops: vec![], units: vec![], range_end: 0 };
    let Shape { hidden, feed_forward, heads, kv_heads, head_dim, vocabulary, embedding, matrices, .. } = shape;
    let table = b.weight("token_embd", vocabulary, hidden, embedding);
    let mut x = b.value(hidden);
    b.ops.push(Op::Embed { weight: table, out: x });
    b.unit(UnitKind::Embedding, 0, None, x, vec![table], vec![]);
    for layer in 0..shape.layers {
        let start = b.ops.len();
        let (norm_weight, norm) = b.norm(hidden, x);
        let mut linear = |rows, x| b.linear(rows, x, matrices);
        let (q_weight, q) = linear(heads * head_dim, norm);
        let (k_weight, k) = linear(kv_heads * head_dim, norm);
        let (v_weight, v) = linear(kv_heads * head_dim, norm);
        let mut rope = |heads, x| {
            let out = b.value(heads * head_dim);
            b.ops.push(Op::Rope { x, heads, head_dim, rotary_dim: head_dim, freq_base: 10_000.0, out });
            out
        };
        let (q, k) = (rope(heads, q), rope(kv_heads, k));
        let out = b.value(heads * head_dim);
        let (cache, scale) = (CacheId(layer), 1.0 / (head_dim as f32).sqrt());
        b.ops.push(Op::Attention { q, k, v, heads, kv_heads, head_dim, scale, cache, out });
        let (o_weight, o) = b.linear(hidden, out, matrices);
        let sum = b.add(hidden, x, o);
        b.unit(UnitKind::Attention, start, Some(x), sum, vec![norm_weight, q_weight, k_weight, v_weight, o_weight], vec![cache]);

        let start = b.ops.len();
        let (norm_weight, norm) = b.norm(hidden, sum);
        let (gate_weight, gate) = b.linear(feed_forward, norm, matrices);
        let (up_weight, up) = b.linear(feed_forward, norm, matrices);
        let product = b.value(feed_forward);
        b.ops.push(Op::SiluMul { gate, up, out: product });
        let (down_weight, down) = b.linear(hidden, product, matrices);
        x = b.add(hidden, sum, down);
        b.unit(UnitKind::Mlp, start, Some(sum), x, vec![norm_weight, gate_weight, up_weight, down_weight], vec![]);
    }
    let start = b.ops.len();
    let (norm_weight, norm) = b.norm(hidden, x);
    let logits = b.value(vocabulary);
    b.ops.push(Op::Linear { x: norm, weight: table, out: logits });
    b.unit(UnitKind::Head, start, Some(x), logits, vec![norm_weight, table], vec![]);
    Graph {
        architecture: "llama".into(),
        hidden_width: hidden,
        vocabulary,
        max_context_columns: 2048,
        weights: b.weights,
        values: b.values,
        caches: (0..shape.layers).map(|_| CacheSpec { width: kv_heads * head_dim }).collect(),
        ops: b.ops,
        units: b.units,
    }
}

struct Builder {
    weights: Vec<Weight>,
    values: Vec<u32>,
    ops: Vec<Op>,
    units: Vec<Unit>,
    range_end: u64,
}

impl Builder {
    fn weight(&mut self, name: &str, rows: u32, cols: u32, dtype: DType) -> WeightId {
        let id = WeightId(self.weights.len() as u32);
        let range = self.range_end..self.range_end + dtype.row_bytes(cols).unwrap() * u64::from(rows);
        self.range_end = range.end;
        self.weights.push(Weight { name: format!("{name}.{}", id.0), dtype, rows, cols, range });
        id
    }

    fn value(&mut self, width: u32) -> ValueId {
        self.values.push(width);
        ValueId(self.values.len() as u32 - 1)
    }

    fn norm(&mut self, width: u32, x: ValueId) -> (WeightId, ValueId) {
        let (weight, out) = (self.weight("norm", 1, width, DType::F32), self.value(width));
        self.ops.push(Op::RmsNorm { x, weight, eps: 1e-5, out });
        (weight, out)
    }

    fn linear(&mut self, rows: u32, x: ValueId, dtype: DType) -> (WeightId, ValueId) {
        let cols = self.values[x.0 as usize];
        let (weight, out) = (self.weight("matrix", rows, cols, dtype), self.value(rows));
        self.ops.push(Op::Linear { x, weight, out });
        (weight, out)
    }

    fn add(&mut self, width: u32, a: ValueId, b: ValueId) -> ValueId {
        let out = self.value(width);
        self.ops.push(Op::Add { a, b, out });
        out
    }

    fn unit(
        &mut self,
        kind: UnitKind,
        first_op: usize,
        input: Option<ValueId>,
        output: ValueId,
        weights: Vec<WeightId>,
        caches: Vec<CacheId>,
    ) {
        self.units.push(Unit { kind, ops: first_op..self.ops.len(), input, output, weights, caches });
    }
}
