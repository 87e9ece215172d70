//! Which ops of a unit one kernel computes together.

use model::{Frequencies, Graph, Op, Pairing, ValueId, WeightId};

use super::{product::Then, weights::Weights};

/// What one to four dispatches compute.
pub enum Step<'a> {
    /// Queries, keys and values of what enters, their norms and rotation, and attention over the cache.
    Attention(AttentionStep<'a>),
    /// Matrix products of what enters.
    Product(ProductStep),
    /// out = residual + the norm of something.
    NormAdd {
        /// The norm and what it reads.
        norm: Norm,
        /// What is added to it.
        residual: ValueId,
        /// Output.
        out: ValueId,
    },
    /// An op by itself.
    Op(&'a Op),
}

/// An RMS norm of whole columns.
#[derive(Clone, Copy)]
pub struct Norm {
    /// Input.
    pub x: ValueId,
    /// Gain.
    pub gain: WeightId,
    /// Added to the mean square.
    pub eps: f32,
}

/// What matrices are multiplied with.
#[derive(Clone, Copy)]
pub enum Entering {
    /// A value.
    Value(ValueId),
    /// The norm of one.
    Norm(Norm),
}

/// A matrix and its bias.
#[derive(Clone, Copy)]
pub struct Map {
    /// `rows` x `cols`.
    pub weight: WeightId,
    /// One row of `rows` elements.
    pub bias: Option<WeightId>,
    out: ValueId,
}

/// Of one matrix, or of a gate and what it gates.
pub struct ProductStep {
    /// Input.
    pub entering: Entering,
    /// One, or gate and up.
    pub maps: Vec<Map>,
    /// What becomes of the products.
    pub then: Then,
    /// With [`Then::Residual`].
    pub residual: Option<ValueId>,
    /// Output.
    pub out: ValueId,
}

/// Everything between what enters an attention block and the product that ends it.
pub struct AttentionStep<'a> {
    /// Input.
    pub entering: Entering,
    /// Of queries, keys, values.
    pub maps: [Map; 3],
    /// Gains of the norms of the heads of queries and of keys.
    pub gains: [Option<WeightId>; 2],
    /// Of those norms.
    pub eps: f32,
    /// How queries and keys rotate.
    pub rotation: Option<(Pairing, Frequencies)>,
    /// The op that ends it.
    pub attention: &'a Op,
}

/// The patterns, for one graph.
pub struct Fusion<'a> {
    graph: &'a Graph,
    weights: &'a Weights,
    /// Of each value.
    readers: Vec<u32>,
}

impl<'a> Fusion<'a> {
    /// Counts who reads what.
    pub fn new(graph: &'a Graph, weights: &'a Weights) -> Self {
        let mut readers = vec![0; graph.values.len()];
        for value in graph.ops.iter().flat_map(Op::inputs) {
            readers[value.0 as usize] += 1;
        }
        Self {
            graph,
            weights,
            readers,
        }
    }

    /// The steps of neighbouring ops, none of which is read elsewhere unless it ends a step.
    pub fn steps(&self, mut ops: &'a [Op]) -> Vec<Step<'a>> {
        let mut steps = Vec::new();
        while let [op, after @ ..] = ops {
            let fused = self.attention(ops).or_else(|| self.gate(ops));
            let fused = fused.or_else(|| self.product(ops));
            let fused = fused.or_else(|| self.norm_add(ops));
            let (step, rest) = fused.unwrap_or((Step::Op(op), after));
            steps.push(step);
            ops = rest;
        }
        steps
    }

    /// Exactly `N` products of one value, or of a norm that nobody else reads.
    fn maps<const N: usize>(&self, ops: &'a [Op]) -> Option<(Entering, [Map; N], &'a [Op])> {
        let (norm, rest) = match self.norm(ops) {
            Some((norm, out, rest)) if self.readers(out) as usize == N => (Some((norm, out)), rest),
            _ => (None, ops),
        };
        let linear = |op: &Op| match *op {
            Op::Linear {
                x,
                weight,
                bias,
                out,
            } => Some((x, Map { weight, bias, out })),
            _ => None,
        };
        let (products, rest) = rest.split_first_chunk::<N>()?;
        let products: Vec<_> = products.iter().map(linear).collect::<Option<_>>()?;
        let (x, _) = *products.first()?;
        let same = products.iter().all(|(other, _)| *other == x);
        let entering = match norm {
            None => Entering::Value(x),
            Some((norm, out)) if out == x => Entering::Norm(norm),
            Some(_) => return None,
        };
        let maps: Vec<_> = products.into_iter().map(|(_, map)| map).collect();
        let alone = N == 1 || maps.iter().all(|map| self.readers(map.out) == 1);
        let maps = maps.try_into().ok()?;
        (same && alone).then_some((entering, maps, rest))
    }

    fn attention(&self, ops: &'a [Op]) -> Option<(Step<'a>, &'a [Op])> {
        let (entering, maps, rest) = self.maps::<3>(ops)?;
        let [q, k, v] = maps.map(|map| map.out);
        let (q_gain, q, rest) = self.head_norm(q, rest);
        let (k_gain, k, rest) = self.head_norm(k, rest);
        let (q_rotation, q, rest) = self.rope(q, rest);
        let (k_rotation, k, rest) = self.rope(k, rest);
        let [attention, rest @ ..] = rest else {
            return None;
        };
        let Op::Attention {
            q: queries,
            k: keys,
            v: values,
            head_dim,
            ..
        } = *attention
        else {
            return None;
        };
        let gains = [q_gain, k_gain].map(|norm| norm.map(|norm| norm.gain));
        let eps = [q_gain, k_gain].map(|norm| norm.map(|norm| norm.eps));
        let per_head = |gain: &WeightId| self.graph.weights[gain.0 as usize].cols == head_dim;
        let fits = (q, k, v) == (queries, keys, values)
            && q_rotation == k_rotation
            && (eps[0] == eps[1] || eps.contains(&None))
            && gains.iter().flatten().all(per_head);
        let step = AttentionStep {
            entering,
            maps,
            gains,
            eps: eps[0].or(eps[1]).unwrap_or(0.0),
            rotation: q_rotation,
            attention,
        };
        fits.then_some((Step::Attention(step), rest))
    }

    fn gate(&self, ops: &'a [Op]) -> Option<(Step<'a>, &'a [Op])> {
        let (entering, [first, second], rest) = self.maps::<2>(ops)?;
        let [
            Op::Gate {
                function,
                gate,
                up,
                out,
            },
            rest @ ..,
        ] = rest
        else {
            return None;
        };
        let maps = if first.out == *gate {
            [first, second]
        } else {
            [second, first]
        };
        let fits = maps.map(|map| map.out) == [*gate, *up];
        let step = ProductStep {
            entering,
            maps: maps.to_vec(),
            then: Then::Gate(*function),
            residual: None,
            out: *out,
        };
        let without_bias = maps.iter().all(|map| map.bias.is_none());
        (fits && without_bias && self.lie_alike(maps)).then_some((Step::Product(step), rest))
    }

    /// Whether the rows of two matrices are in one piece or break into pieces at the same rows.
    fn lie_alike(&self, maps: [Map; 2]) -> bool {
        let pieces = maps.map(|map| {
            let tensor = self.weights.tensor(self.graph, map.weight).ok()?;
            let rows = tensor.pieces.iter().map(|piece| piece.rows.clone());
            Some(rows.collect::<Vec<_>>())
        });
        pieces[0] == pieces[1]
    }

    fn product(&self, ops: &'a [Op]) -> Option<(Step<'a>, &'a [Op])> {
        let (entering, [map], rest) = self.maps::<1>(ops)?;
        let alone = self.readers(map.out) == 1;
        let (then, residual, out, rest) = match rest {
            [Op::Activate { function, x, out }, rest @ ..] if alone && *x == map.out => {
                (Then::Activate(*function), None, *out, rest)
            }
            [Op::Add { a, b, out }, rest @ ..] if alone && *b == map.out => {
                (Then::Residual, Some(*a), *out, rest)
            }
            [Op::Add { a, b, out }, rest @ ..] if alone && *a == map.out => {
                (Then::Residual, Some(*b), *out, rest)
            }
            _ => (Then::Store, None, map.out, rest),
        };
        let step = ProductStep {
            entering,
            maps: vec![map],
            then,
            residual,
            out,
        };
        Some((Step::Product(step), rest))
    }

    fn norm_add(&self, ops: &'a [Op]) -> Option<(Step<'a>, &'a [Op])> {
        let (norm, normed, rest) = self.norm(ops)?;
        let [Op::Add { a, b, out }, rest @ ..] = rest else {
            return None;
        };
        let (residual, out) = (*a, *out);
        let fits = *b == normed && self.readers(normed) == 1;
        fits.then_some((
            Step::NormAdd {
                norm,
                residual,
                out,
            },
            rest,
        ))
    }

    /// An RMS norm of whole columns, and its output.
    fn norm(&self, ops: &'a [Op]) -> Option<(Norm, ValueId, &'a [Op])> {
        let [
            Op::RmsNorm {
                x,
                weight,
                eps,
                out,
            },
            rest @ ..,
        ] = ops
        else {
            return None;
        };
        let (x, gain, eps) = (*x, *weight, *eps);
        let whole = self.graph.weights[gain.0 as usize].cols == self.graph.values[x.0 as usize];
        whole.then_some((Norm { x, gain, eps }, *out, rest))
    }

    /// The norm of the heads of `value` that comes next, if there is one, and what it makes of them.
    fn head_norm(&self, value: ValueId, ops: &'a [Op]) -> (Option<Norm>, ValueId, &'a [Op]) {
        match ops {
            [
                Op::RmsNorm {
                    x,
                    weight,
                    eps,
                    out,
                },
                rest @ ..,
            ] if *x == value && self.readers(*out) == 1 => {
                let (x, gain, eps) = (*x, *weight, *eps);
                (Some(Norm { x, gain, eps }), *out, rest)
            }
            _ => (None, value, ops),
        }
    }

    fn rope(
        &self,
        value: ValueId,
        ops: &'a [Op],
    ) -> (Option<(Pairing, Frequencies)>, ValueId, &'a [Op]) {
        match ops {
            [
                Op::Rope {
                    x,
                    pairing,
                    frequencies,
                    out,
                    ..
                },
                rest @ ..,
            ] if *x == value && self.readers(*out) == 1 => {
                (Some((*pairing, *frequencies)), *out, rest)
            }
            _ => (None, value, ops),
        }
    }

    fn readers(&self, value: ValueId) -> u32 {
        self.readers[value.0 as usize]
    }
}

impl Entering {
    /// The value itself.
    pub const fn value(self) -> ValueId {
        match self {
            Self::Value(x) | Self::Norm(Norm { x, .. }) => x,
        }
    }
}
