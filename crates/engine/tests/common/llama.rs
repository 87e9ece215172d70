//! Llama graphs of any shape, without a model file.

use model::{
    Activation, CacheId, CacheSpec, DType, Frequencies, Graph, Op, Pairing, Unit, UnitKind,
    ValueId, Weight, WeightId,
};

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
    pub tied: bool,
    pub eps: f32,
    pub freq_base: f32,
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
        tied: true,
        eps: 1e-5,
        freq_base: 100_000.0,
    };

    /// Nothing is a multiple of anything convenient.
    pub const ODD: Self = Self {
        hidden: 35,
        feed_forward: 53,
        heads: 6,
        kv_heads: 2,
        head_dim: 14,
        layers: 2,
        vocabulary: 101,
        embedding: DType::F16,
        matrices: DType::F32,
        tied: false,
        eps: 1e-5,
        freq_base: 10_000.0,
    };
}

pub fn llama(shape: Shape) -> Graph {
    let mut b = Builder {
        shape,
        weights: vec![],
        values: vec![],
        ops: vec![],
        units: vec![],
    };
    let table = b.weight(
        "token_embd".into(),
        shape.vocabulary,
        shape.hidden,
        shape.embedding,
    );
    let mut x = b.value(shape.hidden);
    b.ops.push(Op::Embed {
        weight: table,
        out: x,
    });
    b.end_unit(UnitKind::Embedding, None, x);
    for layer in 0..shape.layers {
        x = b.attention(layer, x);
        x = b.mlp(layer, x);
    }
    let norm = b.norm("output_norm".into(), x);
    let head = match shape.tied {
        true => table,
        false => b.weight(
            "output".into(),
            shape.vocabulary,
            shape.hidden,
            shape.embedding,
        ),
    };
    let logits = b.value(shape.vocabulary);
    b.ops.push(Op::Linear {
        x: norm,
        weight: head,
        bias: None,
        out: logits,
    });
    b.end_unit(UnitKind::Head, Some(x), logits);
    Graph {
        architecture: "llama".into(),
        hidden_width: shape.hidden,
        vocabulary: shape.vocabulary,
        max_context_columns: 2048,
        weights: b.weights,
        values: b.values,
        caches: (0..shape.layers)
            .map(|_| CacheSpec {
                width: shape.kv_heads * shape.head_dim,
            })
            .collect(),
        ops: b.ops,
        units: b.units,
        memory: None,
    }
}

struct Builder {
    shape: Shape,
    weights: Vec<Weight>,
    values: Vec<u32>,
    ops: Vec<Op>,
    units: Vec<Unit>,
}

impl Builder {
    fn attention(&mut self, layer: u32, x: ValueId) -> ValueId {
        let Shape {
            hidden,
            heads,
            kv_heads,
            head_dim,
            ..
        } = self.shape;
        let name = |part: &str| format!("blk.{layer}.attn_{part}");
        let norm = self.norm(name("norm"), x);
        let q = self.linear(name("q"), heads * head_dim, norm);
        let k = self.linear(name("k"), kv_heads * head_dim, norm);
        let v = self.linear(name("v"), kv_heads * head_dim, norm);
        let (q, k) = (self.rope(heads, q), self.rope(kv_heads, k));
        let out = self.value(heads * head_dim);
        let (cache, scale) = (CacheId(layer), 1.0 / (head_dim as f32).sqrt());
        self.ops.push(Op::Attention {
            q,
            k,
            v,
            heads,
            kv_heads,
            head_dim,
            scale,
            window: None,
            alibi: false,
            cache,
            out,
        });
        let projected = self.linear(name("output"), hidden, out);
        self.residual(UnitKind::Attention, x, projected)
    }

    fn mlp(&mut self, layer: u32, x: ValueId) -> ValueId {
        let Shape {
            hidden,
            feed_forward,
            ..
        } = self.shape;
        let name = |part: &str| format!("blk.{layer}.ffn_{part}");
        let norm = self.norm(name("norm"), x);
        let gate = self.linear(name("gate"), feed_forward, norm);
        let up = self.linear(name("up"), feed_forward, norm);
        let out = self.value(feed_forward);
        self.ops.push(Op::Gate {
            function: Activation::Silu,
            gate,
            up,
            out,
        });
        let down = self.linear(name("down"), hidden, out);
        self.residual(UnitKind::Mlp, x, down)
    }

    fn weight(&mut self, name: String, rows: u32, cols: u32, dtype: DType) -> WeightId {
        let start = self.weights.last().map_or(0, |weight| weight.range.end);
        let range = start..start + dtype.row_bytes(cols).unwrap() * u64::from(rows);
        self.weights.push(Weight {
            name: name + ".weight",
            dtype,
            rows,
            cols,
            range,
        });
        WeightId(self.weights.len() as u32 - 1)
    }

    fn value(&mut self, width: u32) -> ValueId {
        self.values.push(width);
        ValueId(self.values.len() as u32 - 1)
    }

    fn norm(&mut self, name: String, x: ValueId) -> ValueId {
        let width = self.values[x.0 as usize];
        let (weight, out) = (self.weight(name, 1, width, DType::F32), self.value(width));
        self.ops.push(Op::RmsNorm {
            x,
            weight,
            eps: self.shape.eps,
            out,
        });
        out
    }

    fn linear(&mut self, name: String, rows: u32, x: ValueId) -> ValueId {
        let cols = self.values[x.0 as usize];
        let (weight, out) = (
            self.weight(name, rows, cols, self.shape.matrices),
            self.value(rows),
        );
        self.ops.push(Op::Linear {
            x,
            weight,
            bias: None,
            out,
        });
        out
    }

    fn rope(&mut self, heads: u32, x: ValueId) -> ValueId {
        let Shape {
            head_dim,
            freq_base,
            ..
        } = self.shape;
        let out = self.value(heads * head_dim);
        self.ops.push(Op::Rope {
            x,
            heads,
            head_dim,
            pairing: Pairing::Neighbours,
            frequencies: Frequencies {
                rotary_dim: head_dim,
                base: freq_base,
                scale: 1.0,
                factors: None,
            },
            out,
        });
        out
    }

    fn residual(&mut self, kind: UnitKind, x: ValueId, added: ValueId) -> ValueId {
        let out = self.value(self.shape.hidden);
        self.ops.push(Op::Add {
            a: x,
            b: added,
            out,
        });
        self.end_unit(kind, Some(x), out);
        out
    }

    fn end_unit(&mut self, kind: UnitKind, input: Option<ValueId>, output: ValueId) {
        let ops = self.units.last().map_or(0, |unit| unit.ops.end)..self.ops.len();
        let (mut weights, mut caches) = (vec![], vec![]);
        for op in &self.ops[ops.clone()] {
            weights.extend(op.weights());
            caches.extend(op.cache());
        }
        self.units.push(Unit {
            kind,
            ops,
            input,
            output,
            weights,
            caches,
        });
    }
}
