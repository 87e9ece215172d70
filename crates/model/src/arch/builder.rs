//! Ops, values and weights in the order a model uses them.

use crate::{
    cuts,
    error::ModelError,
    gguf::Header,
    graph::{CacheId, CacheSpec, Graph, Op, ValueId, Weight, WeightId},
};

/// A graph that grows op by op.
pub struct Builder<'a> {
    pub header: &'a Header,
    weights: Vec<Weight>,
    values: Vec<u32>,
    caches: Vec<CacheSpec>,
    ops: Vec<Op>,
}

impl<'a> Builder<'a> {
    pub fn new(header: &'a Header) -> Self {
        Self {
            header,
            weights: Vec::new(),
            values: Vec::new(),
            caches: Vec::new(),
            ops: Vec::new(),
        }
    }

    pub fn op(&mut self, op: Op) {
        self.ops.push(op);
    }

    pub fn value(&mut self, width: u32) -> ValueId {
        self.values.push(width);
        ValueId(self.values.len() as u32 - 1)
    }

    pub fn cache(&mut self, width: u32) -> CacheId {
        self.caches.push(CacheSpec { width });
        CacheId(self.caches.len() as u32 - 1)
    }

    /// A tensor of the file that must be `rows` x `cols`.
    pub fn weight(&mut self, name: &str, rows: u32, cols: u32) -> Result<WeightId, ModelError> {
        let tensor = self.header.tensor(name)?;
        if (tensor.rows, tensor.cols) != (rows, cols) {
            let detail = format!(
                "tensor {name} is {} x {} where {rows} x {cols} belongs",
                tensor.rows, tensor.cols
            );
            return Err(ModelError::Corrupt { detail });
        }
        self.weights.push(Weight {
            name: tensor.name.clone(),
            dtype: tensor.dtype,
            rows,
            cols,
            range: tensor.range.clone(),
        });
        Ok(WeightId(self.weights.len() as u32 - 1))
    }

    /// out = weight x, with the weight's shape checked against `x`.
    pub fn linear(&mut self, name: &str, rows: u32, x: ValueId) -> Result<ValueId, ModelError> {
        let weight = self.weight(name, rows, self.width(x))?;
        let out = self.value(rows);
        self.op(Op::Linear { x, weight, out });
        Ok(out)
    }

    pub fn rms_norm(&mut self, name: &str, eps: f32, x: ValueId) -> Result<ValueId, ModelError> {
        let width = self.width(x);
        let weight = self.weight(name, 1, width)?;
        let out = self.value(width);
        self.op(Op::RmsNorm {
            x,
            weight,
            eps,
            out,
        });
        Ok(out)
    }

    pub fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        let out = self.value(self.width(a));
        self.op(Op::Add { a, b, out });
        out
    }

    fn width(&self, value: ValueId) -> u32 {
        self.values.get(value.0 as usize).copied().unwrap_or(0)
    }

    /// The finished graph, cut into units.
    pub fn finish(self, architecture: &str, max_context_columns: u32, logits: ValueId) -> Graph {
        let units = cuts::units(&self.ops, &self.values);
        let first_output = units.first().map(|unit| unit.output);
        Graph {
            architecture: architecture.to_owned(),
            hidden_width: first_output.map_or(0, |output| self.width(output)),
            vocabulary: self.width(logits),
            max_context_columns,
            weights: self.weights,
            values: self.values,
            caches: self.caches,
            ops: self.ops,
            units,
        }
    }
}
