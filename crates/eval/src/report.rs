//! What came out.

use model::NumericClass;
use serde::Serialize;

/// One evaluation.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The prompt.
    pub ids: Vec<u32>,
    /// Of the prompt's last column.
    pub last_logits: Vec<f32>,
    /// The best of them, best first.
    pub top_k: Vec<Candidate>,
    /// Best continuation.
    pub greedy_ids: Vec<u32>,
    /// How far each of these was ahead of the second best.
    pub gaps: Vec<f32>,
    /// e to the mean surprise at each id of the prompt but the first; absent for a prompt of one.
    pub perplexity: Option<f64>,
    /// What decides the bits.
    pub numeric_class: Class,
}

/// A token and its logit.
#[derive(Debug, Serialize)]
pub struct Candidate {
    /// Token.
    pub id: u32,
    /// Logit.
    pub logit: f32,
}

/// What decides the bits of these numbers; the number of segments does not.
#[derive(Debug, Serialize)]
pub struct Class {
    /// "cpu", or the GPU adapter's name.
    pub executor: String,
    /// Rounding at cuts, chunk grid, context.
    #[serde(flatten)]
    pub class: NumericClass,
    /// Segments it was cut into.
    pub segments: u32,
}

/// The best `count` of the logits, best first; of equals the one with the lower id.
pub fn best(logits: &[f32], count: usize) -> Vec<Candidate> {
    let mut all: Vec<_> = (0..)
        .zip(logits)
        .map(|(id, logit)| Candidate { id, logit: *logit })
        .collect();
    all.sort_by(|a, b| b.logit.total_cmp(&a.logit).then(a.id.cmp(&b.id)));
    all.truncate(count);
    all
}

/// e to the mean of -ln of the probability that each column gives to the id after it.
pub fn perplexity(columns: &[Vec<f32>], ids: &[u32]) -> Option<f64> {
    let next = ids.get(1..).filter(|next| !next.is_empty())?;
    let surprises = columns.iter().zip(next).map(|(logits, id)| {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights = logits.iter().map(|logit| f64::from(logit - largest).exp());
        let logit = logits.get(*id as usize).copied().unwrap_or(f32::NAN);
        weights.sum::<f64>().ln() - f64::from(logit - largest)
    });
    Some((surprises.sum::<f64>() / next.len() as f64).exp())
}
