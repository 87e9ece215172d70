//! A small model of the same shape: what a phone measures and tests itself with before it is given units.

use std::collections::BTreeMap;

use model::{CacheId, CacheSpec, Graph, Op, Unit, UnitKind, ValueId, Weight, WeightId};

use crate::EngineError;

/// Vocabulary rows of a miniature, at most. Every row of an embedding or a head costs the same, so fewer rows measure as well.
pub const MAX_VOCABULARY: u32 = 8192;

/// The embedding, `copies` units of each kind that the blocks of `graph` have, and the head: same widths and dtypes, own weights,
/// and a vocabulary of at most [`MAX_VOCABULARY`] rows.
///
/// # Errors
/// A graph without an embedding, a head, or an attention unit.
pub fn miniature(graph: &Graph, copies: u32) -> Result<Graph, EngineError> {
    let mut builder = Builder::new(graph);
    for kind in unit_kinds(graph)? {
        let copies = match kind {
            UnitKind::Embedding | UnitKind::Head => 1,
            UnitKind::Attention | UnitKind::Mlp => copies,
        };
        for _ in 0..copies {
            builder.copy_unit(kind)?;
        }
    }
    Ok(builder.copy)
}

/// Kinds in the order of a miniature. A model whose blocks add attention and MLP at once has no MLP units.
pub(crate) fn unit_kinds(graph: &Graph) -> Result<Vec<UnitKind>, EngineError> {
    let kinds = [
        UnitKind::Embedding,
        UnitKind::Attention,
        UnitKind::Mlp,
        UnitKind::Head,
    ];
    let has = |kind: &UnitKind| graph.units.iter().any(|unit| unit.kind == *kind);
    let needed = kinds.into_iter().filter(|kind| *kind != UnitKind::Mlp);
    for kind in needed {
        unit_of_kind(graph, kind)?;
    }
    Ok(kinds.into_iter().filter(has).collect())
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
            memory: None,
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
        let mut copy = op.clone();
        let operands = copy.operands_mut();
        for value in operands.inputs.into_iter().flatten() {
            *value = self.value(*value, values)?;
        }
        for weight in operands.weights.into_iter().flatten() {
            *weight = self.weight(*weight, op)?;
        }
        if let Some(cache) = operands.cache {
            *cache = self.cache(*cache)?;
        }
        *operands.output = self.value(*operands.output, values)?;
        Ok(copy)
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

    /// A weight of its own, except for those with a row or an element per entry of the vocabulary: these stay tied.
    fn weight(&mut self, weight: WeightId, op: &Op) -> Result<WeightId, EngineError> {
        let to_logits = unit_of_kind(self.source, UnitKind::Head)?.output == op.output();
        if !to_logits && !matches!(op, Op::Embed { .. }) {
            return self.smaller_weight(weight, u32::MAX);
        }
        if let Some(copied) = self.vocabulary_weights.get(&weight) {
            return Ok(*copied);
        }
        let copied = self.smaller_weight(weight, self.copy.vocabulary)?;
        self.vocabulary_weights.insert(weight, copied);
        Ok(copied)
    }

    /// With at most so many outputs: rows of a matrix, elements of a bias.
    fn smaller_weight(
        &mut self,
        weight: WeightId,
        max_outputs: u32,
    ) -> Result<WeightId, EngineError> {
        let source = self
            .source
            .weights
            .get(weight.0 as usize)
            .ok_or_else(|| dangling("weight", weight.0))?;
        let (rows, cols) = match source.rows {
            1 => (1, source.cols.min(max_outputs)),
            rows => (rows.min(max_outputs), source.cols),
        };
        let start = self
            .copy
            .weights
            .last()
            .map_or(0, |weight| weight.range.end);
        let bytes = source
            .dtype
            .row_bytes(cols)
            .ok_or_else(|| dangling("row length of weight", weight.0))?;
        let copied = WeightId(self.copy.weights.len() as u32);
        let name = format!("synthetic.{}.{}", copied.0, source.name);
        let range = start..start + bytes * u64::from(rows);
        self.copy.weights.push(Weight {
            name,
            dtype: source.dtype,
            rows,
            cols,
            range,
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
