//! A small model of the same shape: what a phone measures and tests itself with before it is given units.

use std::collections::BTreeMap;

use model::{CacheId, CacheSpec, Graph, Op, Unit, UnitKind, ValueId, Weight, WeightId};

use crate::EngineError;

/// Vocabulary rows of a miniature, at most. Every row of an embedding or a head costs the same, so fewer rows measure as well.
pub const MAX_VOCABULARY: u32 = 8192;

/// The embedding, `copies` attention units, as many MLP units, and the head of `graph`: same widths and dtypes, own weights,
/// and a vocabulary of at most [`MAX_VOCABULARY`] rows.
///
/// # Errors
/// A graph without one of the four kinds of unit.
pub fn miniature(graph: &Graph, copies: u32) -> Result<Graph, EngineError> {
    let mut builder = Builder::new(graph);
    builder.copy_unit(UnitKind::Embedding)?;
    for _ in 0..copies {
        builder.copy_unit(UnitKind::Attention)?;
    }
    for _ in 0..copies {
        builder.copy_unit(UnitKind::Mlp)?;
    }
    builder.copy_unit(UnitKind::Head)?;
    Ok(builder.copy)
}

/// First unit of a kind.
pub(crate) fn unit_of_kind(graph: &Graph, kind: UnitKind) -> Result<&Unit, EngineError> {
    let missing = || EngineError::Misuse {
        detail: format!("the model has no unit of kind {kind:?}"),
    };
    graph
        .units
        .iter()
        .find(|unit| unit.kind == kind)
        .ok_or_else(missing)
}

struct Builder<'a> {
    source: &'a Graph,
    copy: Graph,
    /// What left the last unit copied.
    residual: Option<ValueId>,
    /// Copies of vocabulary weights, so that tied ones stay tied.
    vocabulary_weights: BTreeMap<WeightId, WeightId>,
}

/// Names of one unit's values in the source and in the copy.
type Values = BTreeMap<ValueId, ValueId>;

impl<'a> Builder<'a> {
    fn new(source: &'a Graph) -> Self {
        let vocabulary = source.vocabulary.min(MAX_VOCABULARY);
        let copy = Graph {
            architecture: source.architecture.clone(),
            hidden_width: source.hidden_width,
            vocabulary,
            max_context_columns: source.max_context_columns,
            weights: Vec::new(),
            values: Vec::new(),
            caches: Vec::new(),
            ops: Vec::new(),
            units: Vec::new(),
        };
        Self {
            source,
            copy,
            residual: None,
            vocabulary_weights: BTreeMap::new(),
        }
    }

    fn copy_unit(&mut self, kind: UnitKind) -> Result<(), EngineError> {
        let source = self.source;
        let unit = unit_of_kind(source, kind)?;
        let mut values = Values::new();
        values.extend(unit.input.zip(self.residual));
        let first_op = self.copy.ops.len();
        let first_weight = self.copy.weights.len();
        let first_cache = self.copy.caches.len();
        for op in source.ops.get(unit.ops.clone()).unwrap_or_default() {
            let op = self.copy_op(op, &mut values)?;
            self.copy.ops.push(op);
        }
        let output = self.value(unit.output, &mut values)?;
        let tied = unit
            .weights
            .iter()
            .filter_map(|weight| self.vocabulary_weights.get(weight).copied());
        let tied: Vec<_> = tied
            .filter(|weight| (weight.0 as usize) < first_weight)
            .collect();
        let own = (first_weight..self.copy.weights.len()).map(|index| WeightId(index as u32));
        self.copy.units.push(Unit {
            kind,
            ops: first_op..self.copy.ops.len(),
            input: self.residual,
            output,
            weights: own.chain(tied).collect(),
            caches: (first_cache..self.copy.caches.len())
                .map(|index| CacheId(index as u32))
                .collect(),
        });
        self.residual = Some(output);
        Ok(())
    }

    fn copy_op(&mut self, op: &Op, values: &mut Values) -> Result<Op, EngineError> {
        let mut op = op.clone();
        match &mut op {
            Op::Embed { weight, out } => {
                *weight = self.vocabulary_weight(*weight)?;
                *out = self.value(*out, values)?;
            }
            Op::Linear { x, weight, out } => {
                let to_logits = unit_of_kind(self.source, UnitKind::Head)?.output == *out;
                *weight = if to_logits {
                    self.vocabulary_weight(*weight)?
                } else {
                    self.weight(*weight)?
                };
                self.rename([x, out], values)?;
            }
            Op::RmsNorm { x, weight, out, .. } => {
                *weight = self.weight(*weight)?;
                self.rename([x, out], values)?;
            }
            Op::Rope { x, out, .. } => self.rename([x, out], values)?,
            Op::Attention {
                q,
                k,
                v,
                cache,
                out,
                ..
            } => {
                *cache = self.cache(*cache)?;
                self.rename([q, k, v, out], values)?;
            }
            Op::SiluMul { gate, up, out } => self.rename([gate, up, out], values)?,
            Op::Add { a, b, out } => self.rename([a, b, out], values)?,
        }
        Ok(op)
    }

    fn rename<const N: usize>(
        &mut self,
        names: [&mut ValueId; N],
        values: &mut Values,
    ) -> Result<(), EngineError> {
        for name in names {
            *name = self.value(*name, values)?;
        }
        Ok(())
    }

    fn value(&mut self, value: ValueId, values: &mut Values) -> Result<ValueId, EngineError> {
        if let Some(copied) = values.get(&value) {
            return Ok(*copied);
        }
        let width = self
            .source
            .values
            .get(value.0 as usize)
            .ok_or_else(|| dangling("value", value.0))?;
        let is_logits = unit_of_kind(self.source, UnitKind::Head)?.output == value;
        let copied = ValueId(self.copy.values.len() as u32);
        self.copy.values.push(if is_logits {
            self.copy.vocabulary
        } else {
            *width
        });
        values.insert(value, copied);
        Ok(copied)
    }

    fn vocabulary_weight(&mut self, weight: WeightId) -> Result<WeightId, EngineError> {
        if let Some(copied) = self.vocabulary_weights.get(&weight) {
            return Ok(*copied);
        }
        let copied = self.weight_of_rows(weight, self.copy.vocabulary)?;
        self.vocabulary_weights.insert(weight, copied);
        Ok(copied)
    }

    fn weight(&mut self, weight: WeightId) -> Result<WeightId, EngineError> {
        self.weight_of_rows(weight, u32::MAX)
    }

    fn weight_of_rows(&mut self, weight: WeightId, max_rows: u32) -> Result<WeightId, EngineError> {
        let source = self
            .source
            .weights
            .get(weight.0 as usize)
            .ok_or_else(|| dangling("weight", weight.0))?;
        let rows = source.rows.min(max_rows);
        let start = self
            .copy
            .weights
            .last()
            .map_or(0, |weight| weight.range.end);
        let bytes = source
            .dtype
            .row_bytes(source.cols)
            .ok_or_else(|| dangling("row length of weight", weight.0))?;
        let copied = WeightId(self.copy.weights.len() as u32);
        let name = format!("synthetic.{}.{}", copied.0, source.name);
        let range = start..start + bytes * u64::from(rows);
        self.copy.weights.push(Weight {
            name,
            rows,
            range,
            ..source.clone()
        });
        Ok(copied)
    }

    fn cache(&mut self, cache: CacheId) -> Result<CacheId, EngineError> {
        let CacheSpec { width } = *self
            .source
            .caches
            .get(cache.0 as usize)
            .ok_or_else(|| dangling("cache", cache.0))?;
        let copied = CacheId(self.copy.caches.len() as u32);
        self.copy.caches.push(CacheSpec { width });
        Ok(copied)
    }
}

fn dangling(what: &str, number: u32) -> EngineError {
    EngineError::Misuse {
        detail: format!("the model has no {what} {number}"),
    }
}
