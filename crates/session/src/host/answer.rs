//! One answer: what was asked, what is written so far, and how far its columns have come.

use std::collections::VecDeque;

use proto::Resume;

use crate::asker::Asker;
use crate::seam::Writer;

/// A question, its answer so far, and where it stands in the ring.
pub(crate) struct Answer {
    pub asker: Asker,
    pub asked_ms: u64,
    pub prompt_len: usize,
    /// Tokens that were there when it was asked: it was begun before the page was loaded again.
    pub written: u32,
    /// Prompt, then generated tokens.
    pub ids: Vec<u32>,
    pub max_tokens: u32,
    pub stop_ids: Vec<u32>,
    pub writer: Box<dyn Writer>,
    pub first_token_ms: u64,
    pub last_token_ms: u64,
    /// Compute ms of each stage, summed over `timed` generated columns.
    pub stage_ms: Vec<f64>,
    pub timed: u32,
    pub progress: Progress,
}

/// How far an answer's columns have come; all of it can be made again from the ids.
pub(crate) struct Progress {
    /// Columns that entered the first stage.
    pub entered: u32,
    /// Where the last pass began.
    pub last_position: u32,
    /// Where stages begin again after the last change of plan, and the slot.
    pub resume: Resume,
    /// Forward calls begun.
    pub steps: u32,
    /// Something entered whose token is not drawn yet.
    pub under_way: bool,
    /// The last pass has not come back from the ring.
    pub awaited: bool,
    /// Where chunks end that entered and are still on their way.
    pub chunks: VecDeque<u32>,
    /// The next chunk waits until one of those has passed.
    pub held_back: bool,
    /// When the last pass entered.
    pub entered_ms: u64,
    /// Requests so far when it entered, if no other one was in flight.
    pub entered_alone: Option<u32>,
    /// When something last moved.
    pub moved_ms: u64,
}

impl Progress {
    /// A request that nothing entered of.
    pub fn new(request: u32, slot: u32, prompt_columns: u32, now_ms: u64) -> Self {
        Self {
            entered: 0,
            last_position: 0,
            resume: Resume {
                request,
                slot,
                prompt_columns,
                position: 0,
                starts: Vec::new(),
            },
            steps: 0,
            under_way: false,
            awaited: false,
            chunks: VecDeque::new(),
            held_back: false,
            entered_ms: now_ms,
            entered_alone: None,
            moved_ms: now_ms,
        }
    }

    /// What is on its way is lost: the last pass enters again.
    pub fn rewind(&mut self) {
        if core::mem::take(&mut self.under_way) {
            self.entered = self.last_position;
        }
        self.awaited = false;
        self.chunks.clear();
        self.held_back = false;
    }
}

impl Answer {
    pub fn generated(&self) -> u32 {
        u32::try_from(self.ids.len() - self.prompt_len).unwrap_or(u32::MAX)
    }

    pub fn prompt_columns(&self) -> u32 {
        u32::try_from(self.prompt_len).unwrap_or(u32::MAX)
    }

    pub fn slot(&self) -> u32 {
        self.progress.resume.slot
    }

    /// Time for which the page slept is not held against it.
    pub fn slept(&mut self, ms: u64) {
        self.progress.moved_ms += ms;
    }

    /// What is on its way is lost, and with it the times of its plan.
    pub fn rewind(&mut self) {
        self.progress.rewind();
        self.stage_ms.clear();
        self.timed = 0;
    }

    /// Times that cannot be count as none.
    pub fn add_timings(&mut self, timings: &[f32]) {
        self.stage_ms.resize(timings.len(), 0.0);
        for (sum, ms) in self.stage_ms.iter_mut().zip(timings) {
            if ms.is_finite() && *ms >= 0.0 {
                *sum += f64::from(*ms);
            }
        }
        self.timed += 1;
    }
}
