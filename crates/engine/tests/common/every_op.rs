//! A graph with every kind of op, at widths that are multiples of nothing convenient where the storage type allows it.

use model::{
    Activation, CacheId, CacheSpec, DType, Frequencies, Graph, Op, Pairing, ValueId, Weight,
    WeightId,
};

const VOCABULARY: u32 = 101;
const MAX_CONTEXT: u32 = 120;
const HEADS: u32 = 6;
const KV_HEADS: u32 = 2;

/// All matrices and vectors are stored as `dtype`.
pub fn every_op(dtype: DType) -> Graph {
    let block = dtype.block_elements();
    let (hidden, feed_forward, head_dim) = match block {
        1 => (35, 53, 14),
        // Heads of 256 elements would make the test long.
        256 => (256, 512, 128),
        block => (3 * block, 2 * block, block),
    };
    let mut b = Builder {
        dtype,
        ..Builder::default()
    };
    let positions = b.weight("positions", MAX_CONTEXT + 3, hidden);
    let positions = b.op(hidden, |out| Op::Positions {
        weight: positions,
        offset: 3,
        out,
    });
    let table = b.weight("table", VOCABULARY, hidden);
    let embedded = b.op(hidden, |out| Op::Embed { weight: table, out });
    let scaled = b.op(hidden, |out| Op::Scale {
        x: embedded,
        factor: 1.75,
        out,
    });
    let mut x = b.add(hidden, scaled, positions);
    for pairing in [Pairing::Neighbours, Pairing::Halves] {
        let normed = b.layer_norm(hidden, x);
        let q = b.linear(HEADS * head_dim, hidden, normed);
        let k = b.linear(KV_HEADS * head_dim, hidden, normed);
        let v = b.linear(KV_HEADS * head_dim, hidden, normed);
        let (q, k) = (
            b.rms_norm(HEADS * head_dim, head_dim, q),
            b.rms_norm(KV_HEADS * head_dim, head_dim, k),
        );
        let factors = b.weight_of("factors", 1, head_dim / 2 - 1, DType::F32);
        let frequencies = Frequencies {
            rotary_dim: head_dim - 2,
            base: 10_000.0,
            scale: 0.5,
            factors: Some(factors),
        };
        let mut rope = |heads: u32, x: ValueId| {
            b.op(heads * head_dim, |out| Op::Rope {
                x,
                heads,
                head_dim,
                pairing,
                frequencies,
                out,
            })
        };
        let (q, k) = (rope(HEADS, q), rope(KV_HEADS, k));
        b.caches.push(CacheSpec {
            width: KV_HEADS * head_dim,
        });
        let cache = CacheId(b.caches.len() as u32 - 1);
        let is_first = cache.0 == 0;
        let attended = b.op(HEADS * head_dim, |out| Op::Attention {
            q,
            k,
            v,
            heads: HEADS,
            kv_heads: KV_HEADS,
            head_dim,
            scale: 0.25,
            window: is_first.then_some(5),
            alibi: !is_first,
            cache,
            out,
        });
        let projected = b.linear(hidden, HEADS * head_dim, attended);
        x = b.add(hidden, x, projected);
        let normed = b.rms_norm(hidden, hidden, x);
        let (gate, up) = (
            b.linear(feed_forward, hidden, normed),
            b.linear(feed_forward, hidden, normed),
        );
        let function = if is_first {
            Activation::Gelu
        } else {
            Activation::Silu
        };
        let gated = b.op(feed_forward, |out| Op::Gate {
            function,
            gate,
            up,
            out,
        });
        let mut activate = |function: Activation, x: ValueId| {
            b.op(feed_forward, |out| Op::Activate { function, x, out })
        };
        let active = activate(Activation::Gelu, gated);
        let active = if is_first {
            active
        } else {
            activate(Activation::Relu, active)
        };
        let down = b.linear(hidden, feed_forward, active);
        x = b.add(hidden, x, down);
    }
    let normed = b.layer_norm(hidden, x);
    b.linear(VOCABULARY, hidden, normed);
    Graph::new(
        "every op",
        MAX_CONTEXT,
        b.weights,
        b.values,
        b.caches,
        b.ops,
    )
}

struct Builder {
    dtype: DType,
    weights: Vec<Weight>,
    values: Vec<u32>,
    caches: Vec<CacheSpec>,
    ops: Vec<Op>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            dtype: DType::F32,
            weights: vec![],
            values: vec![],
            caches: vec![],
            ops: vec![],
        }
    }
}

impl Builder {
    fn op(&mut self, width: u32, op: impl FnOnce(ValueId) -> Op) -> ValueId {
        self.values.push(width);
        let out = ValueId(self.values.len() as u32 - 1);
        self.ops.push(op(out));
        out
    }

    fn weight(&mut self, name: &str, rows: u32, cols: u32) -> WeightId {
        self.weight_of(name, rows, cols, self.dtype)
    }

    fn weight_of(&mut self, name: &str, rows: u32, cols: u32, dtype: DType) -> WeightId {
        let start = self.weights.last().map_or(0, |weight| weight.range.end);
        let bytes = dtype.row_bytes(cols).unwrap() * u64::from(rows);
        self.weights.push(Weight {
            name: format!("{}.{name}", self.weights.len()),
            dtype,
            rows,
            cols,
            range: start..start + bytes,
        });
        WeightId(self.weights.len() as u32 - 1)
    }

    /// A vector of whole blocks is stored as the matrices are.
    fn vector(&mut self, name: &str, cols: u32) -> WeightId {
        let whole = self.dtype.row_bytes(cols).is_some();
        let dtype = if whole { self.dtype } else { DType::F32 };
        self.weight_of(name, 1, cols, dtype)
    }

    fn linear(&mut self, rows: u32, cols: u32, x: ValueId) -> ValueId {
        let weight = self.weight("weight", rows, cols);
        let bias = Some(self.vector("bias", rows));
        self.op(rows, |out| Op::Linear {
            x,
            weight,
            bias,
            out,
        })
    }

    fn rms_norm(&mut self, width: u32, run: u32, x: ValueId) -> ValueId {
        let weight = self.vector("weight", run);
        self.op(width, |out| Op::RmsNorm {
            x,
            weight,
            eps: 1e-5,
            out,
        })
    }

    fn layer_norm(&mut self, width: u32, x: ValueId) -> ValueId {
        let (weight, bias) = (self.vector("weight", width), self.vector("bias", width));
        self.op(width, |out| Op::LayerNorm {
            x,
            weight,
            bias,
            eps: 1e-5,
            out,
        })
    }

    fn add(&mut self, width: u32, a: ValueId, b: ValueId) -> ValueId {
        self.op(width, |out| Op::Add { a, b, out })
    }
}
