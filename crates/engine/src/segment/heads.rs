//! What an attention op says of its heads.

use model::Op;

/// Heads of one attention op.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Heads {
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; divides `heads`.
    pub kv_heads: usize,
    /// Elements per head.
    pub head_dim: usize,
    /// Multiplies q.k before the softmax.
    pub scale: f32,
    /// Columns that a column sees, itself included.
    pub window: usize,
    /// Whether a score is lowered by the distance times the head's slope.
    pub alibi: bool,
}

impl Heads {
    /// `None` of another op.
    pub fn of(op: &Op) -> Option<Self> {
        match *op {
            Op::Attention {
                heads,
                kv_heads,
                head_dim,
                scale,
                window,
                alibi,
                ..
            } => Some(Self {
                heads: heads as usize,
                kv_heads: kv_heads as usize,
                head_dim: head_dim as usize,
                scale,
                window: window.map_or(usize::MAX, |window| window as usize),
                alibi,
            }),
            Op::BiasedAttention {
                heads, head_dim, ..
            }
            | Op::CrossAttention {
                heads, head_dim, ..
            } => Some(Self {
                heads: heads as usize,
                kv_heads: heads as usize,
                head_dim: head_dim as usize,
                scale: 1.0,
                window: usize::MAX,
                alibi: false,
            }),
            _ => None,
        }
    }
}
