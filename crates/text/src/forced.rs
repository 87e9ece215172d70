//! A given beginning of an answer, and how likely the model finds it.

use libm::{exp, log};

/// Draws given tokens one after another and adds up their log-probabilities: what classification by label likelihood reads.
#[derive(Debug, Clone, Default)]
pub struct Forced {
    ids: std::vec::IntoIter<u32>,
    log_likelihood: f64,
}

impl Forced {
    /// Will draw `ids` in this order.
    pub fn new(ids: Vec<u32>) -> Self {
        Self {
            ids: ids.into_iter(),
            log_likelihood: 0.0,
        }
    }

    /// The same, when `drawn` of them were drawn before, with this sum of log-probabilities.
    pub fn behind(ids: Vec<u32>, drawn: usize, log_likelihood: f64) -> Self {
        let ids: Vec<u32> = ids.into_iter().skip(drawn).collect();
        Self {
            ids: ids.into_iter(),
            log_likelihood,
        }
    }

    /// The next given token; `None` when all are drawn. `logits` holds one value per id of the vocabulary.
    pub fn next(&mut self, logits: &[f32]) -> Option<u32> {
        let id = self.ids.next()?;
        self.log_likelihood += log_probability(logits, id);
        Some(id)
    }

    /// Natural logarithm of the probability of all tokens drawn so far, given the prompt.
    pub const fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }
}

/// Of one token by softmax; an id outside the vocabulary is impossible.
fn log_probability(logits: &[f32], id: u32) -> f64 {
    let of_id = usize::try_from(id).ok().and_then(|id| logits.get(id));
    let Some(&of_id) = of_id else {
        return f64::NEG_INFINITY;
    };
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits
        .iter()
        .map(|logit| exp(f64::from(*logit) - f64::from(highest)))
        .sum();
    f64::from(of_id) - f64::from(highest) - log(sum)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn given_tokens_are_drawn_in_order_and_their_probabilities_multiply() {
        let mut forced = Forced::new(vec![2, 0]);
        // Probabilities 1/4, 1/4, 1/2, whatever is added to all.
        let logits = [100.0, 100.0, 100.0 + core::f32::consts::LN_2];
        assert_eq!(forced.next(&logits), Some(2));
        assert_eq!(forced.next(&logits), Some(0));
        assert_eq!(forced.next(&logits), None);
        assert!((exp(forced.log_likelihood()) - 0.125).abs() < 1e-6);
    }

    #[test]
    fn drawing_can_go_on_elsewhere() {
        let logits = [0.5, 2.0, -1.0];
        let mut undisturbed = Forced::new(vec![2, 0, 1]);
        undisturbed.next(&logits);
        let mut behind = Forced::behind(vec![2, 0, 1], 1, undisturbed.log_likelihood());
        for _ in 0..3 {
            assert_eq!(behind.next(&logits), undisturbed.next(&logits));
        }
        assert_eq!(behind.log_likelihood(), undisturbed.log_likelihood());
    }

    #[test]
    fn what_is_no_token_is_impossible() {
        let mut forced = Forced::new(vec![9]);
        assert_eq!(forced.next(&[0.0; 3]), Some(9));
        assert_eq!(forced.log_likelihood(), f64::NEG_INFINITY);
    }
}
