//! The next token from logits: repeat penalty, top-k, top-p, min-p, temperature, in llama.cpp's order.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::TextError;
use crate::rng::SplitMix64;

/// How a token is chosen. The default is greedy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Sampling {
    /// 0 takes the likeliest token, 1 samples the model's distribution.
    pub temperature: f32,
    /// Keep so many of the likeliest tokens; 0 keeps all.
    pub top_k: u32,
    /// Keep the likeliest tokens until they hold this share of the probability; 1 keeps all.
    pub top_p: f32,
    /// Keep tokens at least this share as likely as the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Tokens seen lately have positive logits divided and negative ones multiplied by this; 1 changes nothing (CTRL, arXiv 1909.05858).
    pub repeat_penalty: f32,
    /// How many of the last tokens count as seen lately.
    pub repeat_last_n: u32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repeat_penalty: 1.0,
            repeat_last_n: 64,
        }
    }
}

impl Sampling {
    fn check(&self) -> Result<(), TextError> {
        let check = |option, value: f32, allowed: bool| {
            if allowed {
                Ok(())
            } else {
                Err(TextError::Sampling { option, value })
            }
        };
        check(
            "temperature",
            self.temperature,
            self.temperature >= 0.0 && self.temperature.is_finite(),
        )?;
        check("top-p", self.top_p, self.top_p > 0.0 && self.top_p <= 1.0)?;
        check("min-p", self.min_p, (0.0..1.0).contains(&self.min_p))?;
        check(
            "repeat penalty",
            self.repeat_penalty,
            self.repeat_penalty > 0.0 && self.repeat_penalty.is_finite(),
        )
    }
}

/// Draws tokens; the same seed and logits give the same tokens on every phone.
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    rng: SplitMix64,
    /// Kept between tokens so that a token allocates nothing.
    candidates: Vec<Candidate>,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    id: u32,
    logit: f32,
    /// Relative to the likeliest token.
    weight: f64,
}

impl Sampler {
    /// Refuses options outside their range.
    pub fn new(sampling: Sampling, seed: u64) -> Result<Self, TextError> {
        sampling.check()?;
        Ok(Self {
            sampling,
            rng: SplitMix64::new(seed),
            candidates: Vec::new(),
        })
    }

    /// As if so many tokens had been drawn: an answer goes on that was begun elsewhere.
    pub fn skip(&mut self, tokens: usize) {
        // Every token takes one random number; the likeliest takes none, and then none is ever taken.
        self.rng.skip(tokens as u64);
    }

    /// The next token after `history`. Of equal logits the lowest id comes first; NaN counts as impossible. Without a possible token: id 0.
    pub fn next(&mut self, logits: &[f32], history: &[u32]) -> u32 {
        self.candidates.clear();
        // -0.0 + 0.0 is 0.0: zeros are equal whatever their sign.
        let logits = logits.iter().map(|&logit| {
            if logit.is_nan() {
                f32::NEG_INFINITY
            } else {
                logit + 0.0
            }
        });
        self.candidates
            .extend((0..).zip(logits).map(|(id, logit)| Candidate {
                id,
                logit,
                weight: 0.0,
            }));
        self.penalise(history);
        if self.sampling.temperature == 0.0 {
            return self
                .candidates
                .iter()
                .min_by(|a, b| likelier_first(a, b))
                .map_or(0, |likeliest| likeliest.id);
        }
        self.keep_top_k();
        self.weigh(1.0);
        self.keep_top_p();
        self.keep_min_p();
        self.weigh(f64::from(self.sampling.temperature));
        self.draw()
    }

    fn penalise(&mut self, history: &[u32]) {
        let penalty = self.sampling.repeat_penalty;
        if penalty == 1.0 {
            return;
        }
        let last_n = usize::try_from(self.sampling.repeat_last_n).unwrap_or(usize::MAX);
        let lately = history
            .get(history.len().saturating_sub(last_n)..)
            .unwrap_or_default();
        for id in lately.iter().copied().collect::<BTreeSet<_>>() {
            let index = usize::try_from(id).unwrap_or(usize::MAX);
            if let Some(candidate) = self.candidates.get_mut(index) {
                candidate.logit = if candidate.logit > 0.0 {
                    candidate.logit / penalty
                } else {
                    candidate.logit * penalty
                };
            }
        }
    }

    /// Leaves the candidates sorted, the likeliest first.
    fn keep_top_k(&mut self) {
        let top_k = usize::try_from(self.sampling.top_k).unwrap_or(usize::MAX);
        if (1..self.candidates.len()).contains(&top_k) {
            self.candidates
                .select_nth_unstable_by(top_k, likelier_first);
            self.candidates.truncate(top_k);
        }
        self.candidates.sort_unstable_by(likelier_first);
    }

    /// Softmax weights, 1 for the likeliest. `libm` gives the same bits on every phone.
    fn weigh(&mut self, temperature: f64) {
        let Some(top) = self
            .candidates
            .first()
            .map(|likeliest| f64::from(likeliest.logit))
        else {
            return;
        };
        for candidate in &mut self.candidates {
            let below = f64::from(candidate.logit) - top;
            // Equal infinities subtract to NaN: as likely as the likeliest.
            candidate.weight = if below.is_nan() {
                1.0
            } else {
                libm::exp(below / temperature)
            };
        }
    }

    fn keep_top_p(&mut self) {
        if self.sampling.top_p >= 1.0 {
            return;
        }
        let share = f64::from(self.sampling.top_p) * self.total_weight();
        let mut held = 0.0;
        let enough = self.candidates.iter().position(|candidate| {
            held += candidate.weight;
            held >= share
        });
        self.candidates
            .truncate(enough.map_or(usize::MAX, |last| last + 1));
    }

    fn keep_min_p(&mut self) {
        let least = f64::from(self.sampling.min_p);
        self.candidates
            .retain(|candidate| candidate.weight >= least);
    }

    fn draw(&mut self) -> u32 {
        let mut left = self.rng.next_unit() * self.total_weight();
        for candidate in &self.candidates {
            left -= candidate.weight;
            if left < 0.0 {
                return candidate.id;
            }
        }
        // Rounding may leave a sliver above the last weight.
        self.candidates
            .iter()
            .rev()
            .find(|candidate| candidate.weight > 0.0)
            .map_or(0, |last| last.id)
    }

    fn total_weight(&self) -> f64 {
        self.candidates
            .iter()
            .map(|candidate| candidate.weight)
            .sum()
    }
}

fn likelier_first(a: &Candidate, b: &Candidate) -> core::cmp::Ordering {
    b.logit.total_cmp(&a.logit).then(a.id.cmp(&b.id))
}
