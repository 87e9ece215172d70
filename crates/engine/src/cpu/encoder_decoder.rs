//! Attention of an encoder and of the decoder behind it: without a scale, over columns that no order hides.

use super::attention::Cache;
use crate::segment::Heads;

impl Cache {
    /// Attention of the queries (columns x (heads * head_dim)), of which number `column` sees the first `seen(column)` cached columns.
    /// `raised(column, key, head)` is added to the score of a cached column. `scores` holds at least as many elements as are cached.
    pub fn attend_unscaled(
        &self,
        shape: Heads,
        seen: impl Fn(usize) -> usize,
        raised: impl Fn(usize, usize, usize) -> f32,
        queries: &[f32],
        scores: &mut [f32],
        out: &mut [f32],
    ) {
        let width = shape.heads * shape.head_dim;
        let columns = queries.chunks_exact(width).zip(out.chunks_exact_mut(width));
        for (column, (queries, out)) in columns.enumerate() {
            let scores = &mut scores[..seen(column)];
            let heads = queries
                .chunks_exact(shape.head_dim)
                .zip(out.chunks_exact_mut(shape.head_dim));
            for (head, (query, out)) in heads.enumerate() {
                let place = (0, head * shape.head_dim);
                self.score_head(place, shape.scale, query, scores);
                for (key, score) in scores.iter_mut().enumerate() {
                    *score += raised(column, key, head);
                }
                self.mix_head(place, scores, out);
            }
        }
    }
}
