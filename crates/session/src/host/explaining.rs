//! Telling the page why the plan is as it is: a step at a time, while nobody waits for a token.

use plan::Explainer;

use super::Host;
use crate::seam::Event;

/// Between two steps, ms: whatever else arrives comes first.
const PAUSE_MS: u64 = 20;

/// An explanation on its way.
pub(super) struct Explaining {
    explainer: Explainer,
    due_ms: u64,
}

impl Host {
    /// The plan came into force.
    pub(super) fn explain_plan(&mut self) {
        let problem = self.problem_now();
        self.explaining = self.placed.as_ref().map(|placed| Explaining {
            explainer: Explainer::new(problem, placed.ring.plan.clone()),
            due_ms: self.now_ms + PAUSE_MS,
        });
    }

    /// When the next step is due, ms; while an answer is written, none is.
    pub(super) fn explain_due_ms(&self) -> Option<u64> {
        let idle = self.is_idle();
        let explaining = self.explaining.as_ref().filter(|_| idle)?;
        Some(explaining.due_ms)
    }

    pub(super) fn explain_some(&mut self) {
        if !self.is_due(self.explain_due_ms()) {
            return;
        }
        let Some(mut explaining) = self.explaining.take() else {
            return;
        };
        match explaining.explainer.explain_next() {
            Ok(None) => {
                explaining.due_ms = self.now_ms + PAUSE_MS;
                self.explaining = Some(explaining);
            }
            Ok(Some(explanation)) => self.outbox.event(Event::Explained {
                epoch: self.epoch,
                explanation,
            }),
            // The plan goes on without.
            Err(_) => {}
        }
    }
}
