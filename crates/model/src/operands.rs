//! What an op reads, writes and owns.

use crate::graph::{CacheId, Op, ValueId, WeightId};

/// Everything an op refers to.
#[derive(Debug)]
pub struct Operands<'a> {
    /// Values it reads.
    pub inputs: [Option<&'a mut ValueId>; 3],
    /// Weights it reads.
    pub weights: [Option<&'a mut WeightId>; 2],
    /// Cache it owns.
    pub cache: Option<&'a mut CacheId>,
    /// Value it writes.
    pub output: &'a mut ValueId,
}

impl Op {
    /// The values it reads.
    pub fn inputs(&self) -> impl Iterator<Item = ValueId> + use<> {
        let copies = |value: Option<&mut ValueId>| value.copied();
        let mut op = self.clone();
        op.operands_mut().inputs.map(copies).into_iter().flatten()
    }

    /// The value it writes.
    pub fn output(&self) -> ValueId {
        *self.clone().operands_mut().output
    }

    /// The weights it reads.
    pub fn weights(&self) -> impl Iterator<Item = WeightId> + use<> {
        let copies = |weight: Option<&mut WeightId>| weight.copied();
        let mut op = self.clone();
        op.operands_mut().weights.map(copies).into_iter().flatten()
    }

    /// The cache it owns.
    pub fn cache(&self) -> Option<CacheId> {
        self.clone().operands_mut().cache.copied()
    }

    /// All of them, to give it others.
    pub fn operands_mut(&mut self) -> Operands<'_> {
        match self {
            Self::Embed { weight, out } | Self::Positions { weight, out, .. } => {
                Operands::of([None, None, None], [Some(weight), None], out)
            }
            Self::RmsNorm { x, weight, out, .. } => {
                Operands::of([Some(x), None, None], [Some(weight), None], out)
            }
            Self::LayerNorm {
                x,
                weight,
                bias,
                out,
                ..
            } => Operands::of([Some(x), None, None], [Some(weight), Some(bias)], out),
            Self::Linear {
                x,
                weight,
                bias,
                out,
            } => Operands::of([Some(x), None, None], [Some(weight), bias.as_mut()], out),
            Self::Rope {
                x,
                frequencies,
                out,
                ..
            } => {
                let factors = frequencies.factors.as_mut();
                Operands::of([Some(x), None, None], [factors, None], out)
            }
            Self::Attention {
                q,
                k,
                v,
                cache,
                out,
                ..
            } => Operands {
                cache: Some(cache),
                ..Operands::of([Some(q), Some(k), Some(v)], [None, None], out)
            },
            Self::BiasedAttention {
                q,
                k,
                v,
                bias,
                cache,
                out,
                ..
            } => Operands {
                cache: Some(cache),
                ..Operands::of([Some(q), Some(k), Some(v)], [Some(bias), None], out)
            },
            Self::CrossAttention {
                q,
                k,
                v,
                cache,
                out,
                ..
            } => Operands {
                cache: Some(cache),
                ..Operands::of([Some(q), Some(k), Some(v)], [None, None], out)
            },
            Self::Activate { x, out, .. } | Self::Scale { x, out, .. } => {
                Operands::of([Some(x), None, None], [None, None], out)
            }
            Self::Gate { gate, up, out, .. } => {
                Operands::of([Some(gate), Some(up), None], [None, None], out)
            }
            Self::Add { a, b, out } => Operands::of([Some(a), Some(b), None], [None, None], out),
        }
    }
}

impl<'a> Operands<'a> {
    const fn of(
        inputs: [Option<&'a mut ValueId>; 3],
        weights: [Option<&'a mut WeightId>; 2],
        output: &'a mut ValueId,
    ) -> Self {
        Self {
            inputs,
            weights,
            cache: None,
            output,
        }
    }
}
