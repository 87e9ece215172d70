//! One answer: the prompt in chunks, then token after token around the ring.

use std::collections::VecDeque;

use plan::MemberId;
use proto::{Control, Frame, Resume, Wanted};

use super::{Doing, Host, Wish};
use crate::error::SessionError;
use crate::history;
use crate::ring::{Outgoing, Pass};
use crate::seam::{Event, JobInput, NextToken};

/// An answer that did not move for so long, and for so many times what its columns take, is stuck.
const STALL_MS: u64 = 15_000;
const STALL_FACTOR: f64 = 3.0;

/// Chunks of a prompt on their way for each stage in front of the head: one is computed there, the next one is in the air.
const CHUNKS_PER_STAGE: usize = 2;

/// An answer being written.
pub(crate) struct Answer {
    started_ms: u64,
    prompt_len: usize,
    /// Prompt, then generated tokens.
    ids: Vec<u32>,
    max_tokens: u32,
    stop_ids: Vec<u32>,
    next_token: NextToken,
    /// Columns that entered the first stage.
    entered: u32,
    /// Where the last pass began.
    last_position: u32,
    /// Where stages begin again after the last change of plan.
    resume: Resume,
    /// Forward calls begun.
    steps: u32,
    /// The last of them has not come back.
    awaited: bool,
    /// Where chunks end that entered and are still on their way.
    under_way: VecDeque<u32>,
    /// The next chunk waits until one of those has passed.
    held_back: bool,
    /// When the last of them entered.
    entered_ms: u64,
    /// When something last moved.
    moved_ms: u64,
    first_token_ms: u64,
    last_token_ms: u64,
    /// Compute ms of each stage, summed over `timed` generated columns.
    stage_ms: Vec<f64>,
    timed: u32,
}

/// Which part of a pass the engine of this page runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Leg {
    First(Pass),
    Head(Pass),
}

impl Answer {
    fn generated(&self) -> u32 {
        u32::try_from(self.ids.len() - self.prompt_len).unwrap_or(u32::MAX)
    }

    /// Time for which the page slept is not held against it.
    pub fn slept(&mut self, ms: u64) {
        self.moved_ms += ms;
    }

    /// What is on its way is lost: the last pass enters again.
    pub fn rewind(&mut self) {
        self.entered = self.last_position;
        self.awaited = false;
        self.under_way.clear();
        self.held_back = false;
        self.stage_ms.clear();
        self.timed = 0;
    }
}

impl Host {
    pub(super) fn generate(
        &mut self,
        prompt_ids: Vec<u32>,
        max_tokens: u32,
        stop_ids: Vec<u32>,
        next_token: NextToken,
    ) -> Result<(), SessionError> {
        self.check_question(&prompt_ids)?;
        self.request += 1;
        let prompt_columns = u32::try_from(prompt_ids.len()).unwrap_or(u32::MAX);
        self.answer = Some(Answer {
            started_ms: self.now_ms,
            prompt_len: prompt_ids.len(),
            ids: prompt_ids,
            max_tokens,
            stop_ids,
            next_token,
            entered: 0,
            last_position: 0,
            resume: Resume {
                request: self.request,
                prompt_columns,
                position: 0,
                starts: Vec::new(),
            },
            steps: 0,
            awaited: false,
            under_way: VecDeque::new(),
            held_back: false,
            entered_ms: self.now_ms,
            moved_ms: self.now_ms,
            first_token_ms: self.now_ms,
            last_token_ms: self.now_ms,
            stage_ms: Vec::new(),
            timed: 0,
        });
        let request = self.request;
        match max_tokens {
            0 => self.finish("length"),
            _ if self.is_ready() => {
                self.tell_ring(&Control::BeginRequest { request });
                self.enter_next();
            }
            // The room mends itself; the answer is written with the next plan.
            _ => {}
        }
        Ok(())
    }

    fn check_question(&self, prompt_ids: &[u32]) -> Result<(), SessionError> {
        if !self.is_ready() && !self.is_mending() {
            return Err(SessionError::NotReady);
        }
        if self.answer.is_some() {
            return Err(SessionError::Busy);
        }
        if prompt_ids.is_empty() {
            return Err(SessionError::EmptyPrompt);
        }
        let context_columns = self.config.class.context_columns;
        if prompt_ids.len() as u64 > u64::from(context_columns) {
            return Err(SessionError::PromptTooLong {
                tokens: prompt_ids.len(),
                context_columns,
            });
        }
        prompt_ids.iter().try_for_each(|id| self.check_token(*id))
    }

    /// A plan is loaded.
    fn is_ready(&self) -> bool {
        let loaded = |placed: &super::Placed| placed.loading.is_empty();
        self.placed.as_ref().is_some_and(loaded) && self.wish == Wish::Nothing
    }

    /// There was a plan, and there will be another one.
    fn is_mending(&self) -> bool {
        self.was_ready
            && self.wish != Wish::Plan
            && (self.placed.is_some() || self.wish != Wish::Nothing)
    }

    fn check_token(&self, id: u32) -> Result<(), SessionError> {
        let vocabulary = self.config.graph.vocabulary;
        match id < vocabulary {
            true => Ok(()),
            false => Err(SessionError::UnknownToken { id, vocabulary }),
        }
    }

    /// Ends the answer at once; what is still on its way is stale.
    pub(super) fn stop(&mut self) {
        if self.answer.is_some() {
            self.finish("cancelled");
        }
    }

    /// Whether a frame's request is not the one being answered.
    pub(super) fn is_stale(&self, request: u32) -> bool {
        self.answer.is_none() || request != self.request
    }

    /// How the answer goes on with the plan that is loaded now.
    pub(super) fn resume_points(&self) -> Option<Resume> {
        let (answer, placed) = (self.answer.as_ref()?, self.placed.as_ref()?);
        let before_head = placed.ring.plan.stages.len().saturating_sub(1).max(1);
        let stages = placed.ring.plan.stages.iter().take(before_head);
        let held = stages.map(|stage| {
            let held = placed.held.get(&stage.member).copied();
            held.filter(|held| held.request == self.request)
                .unwrap_or_default()
        });
        let held: Vec<_> = held.collect();
        Some(Resume {
            position: answer.entered,
            starts: history::starts(&held, answer.entered),
            ..answer.resume.clone()
        })
    }

    /// The new plan is loaded: the answer goes on.
    pub(super) fn resume(&mut self, resume: Resume) {
        let (Some(answer), Some(placed)) = (&mut self.answer, &self.placed) else {
            return;
        };
        let start = resume.starts.first().copied();
        let again = match start.is_some_and(|start| start.resend) {
            true => placed
                .ring
                .again(0, &resume, &self.history)
                .unwrap_or_default(),
            false => Vec::new(),
        };
        answer.entered = start.map_or(0, |start| start.from);
        answer.resume = resume;
        for Outgoing {
            to, header, body, ..
        } in again
        {
            if let Err(error) = self.outbox.frame(to, &header, &body) {
                return self.on_failed(MemberId::HOST, error.into());
            }
        }
        self.enter_next();
    }

    /// When an answer that does not move counts as stuck: long after the slowest of phones would have done it.
    pub(super) fn stall_due_ms(&self) -> Option<u64> {
        let (answer, placed) = (self.answer.as_ref()?, self.placed.as_ref()?);
        let ms = placed.ring.plan.predicted_ms_per_token * f64::from(answer.entered) * STALL_FACTOR;
        let moving = placed.loading.is_empty();
        moving.then(|| answer.moved_ms + STALL_MS + ms.min(f64::from(u32::MAX)) as u64)
    }

    /// The next columns enter the first stage: a chunk of the prompt on the absolute grid, or generated tokens, as the numeric contract
    /// has them whether they enter for the first time or again.
    fn enter_next(&mut self) {
        let Some(answer) = &mut self.answer else {
            return;
        };
        let Some(placed) = &self.placed else { return };
        let position = answer.entered;
        let prefill = position < answer.resume.prompt_columns;
        let most = u32::try_from(answer.ids.len()).unwrap_or(u32::MAX);
        let end = placed.ring.pass_end(position, most, &answer.resume) as usize;
        let start = position as usize;
        let Some(tokens) = answer.ids.get(start..end) else {
            return;
        };
        let columns = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
        let input = JobInput::Tokens(tokens.to_vec());
        let wanted = match end < answer.ids.len() {
            true => Wanted::Nothing,
            false => Wanted::LastColumn,
        };
        let pass = Pass {
            request: self.request,
            step: answer.steps,
            position,
            columns,
            prefill,
            wanted,
            timings: Vec::new(),
        };
        answer.entered += columns;
        answer.last_position = position;
        answer.steps += 1;
        answer.awaited = wanted == Wanted::LastColumn;
        answer.moved_ms = self.now_ms;
        answer.entered_ms = self.now_ms;
        self.run(0, pass, input);
    }

    /// The next chunk enters behind one that ends here, unless there are enough on their way.
    fn enter_behind(&mut self, end: u32) {
        let (Some(answer), Some(placed)) = (&mut self.answer, &self.placed) else {
            return;
        };
        answer.under_way.push_back(end);
        answer.held_back =
            answer.under_way.len() >= CHUNKS_PER_STAGE * usize::from(placed.ring.last());
        if !answer.held_back {
            self.enter_next();
        }
    }

    /// A chunk got as far as it goes.
    pub(super) fn on_passed(&mut self, epoch: u32, request: u32, position: u32) {
        if epoch != self.epoch || self.is_stale(request) {
            return;
        }
        let Some(answer) = &mut self.answer else {
            return;
        };
        let before = answer.under_way.len();
        answer.under_way.retain(|end| *end > position);
        if answer.under_way.len() < before {
            answer.moved_ms = self.now_ms;
            if core::mem::take(&mut answer.held_back) {
                self.enter_next();
            }
        }
    }

    /// Has the engine of this page run its first or its last stage.
    fn run(&mut self, index: u16, pass: Pass, input: JobInput) {
        let Some(placed) = &self.placed else { return };
        match placed.ring.job(index, &pass, input) {
            Ok(work) => {
                let job = self.outbox.compute(work);
                let request = pass.request;
                let leg = match index {
                    0 => Leg::First(pass),
                    _ => Leg::Head(pass),
                };
                self.jobs.insert(job, Doing::Run { request, leg });
            }
            Err(error) => self.on_failed(MemberId::HOST, error.into()),
        }
    }

    /// The engine of this page ran a stage.
    pub(super) fn on_ran(&mut self, request: u32, leg: Leg, values: &[f32], compute_ms: f64) {
        if self.is_stale(request) {
            return;
        }
        let done = match leg {
            Leg::First(mut pass) => {
                pass.timings.push(compute_ms as f32);
                self.on_first_ran(pass, values)
            }
            Leg::Head(mut pass) => {
                pass.timings.push(compute_ms as f32);
                self.on_logits(&pass, values)
            }
        };
        if let Err(error) = done {
            self.on_failed(MemberId::HOST, error.into());
        }
    }

    fn on_first_ran(&mut self, pass: Pass, values: &[f32]) -> Result<(), SessionError> {
        let Some(placed) = &self.placed else {
            return Ok(());
        };
        let sent = placed.ring.forward(0, &pass, values)?;
        let cut = placed.ring.stage(0).map_or(0, |stage| stage.units.end);
        let on_the_way = placed.ring.last() > 1;
        let columns = sent.as_ref().filter(|_| on_the_way).map(Outgoing::columns);
        self.history.ran(&pass, cut, columns);
        let resume = self.answer.as_ref().map(|answer| &answer.resume);
        let from = resume.map_or(0, |resume| history::forward_from(resume, 0));
        let known = pass.position + pass.columns <= from;
        let goes_on = sent.filter(|_| !known);
        let under_way = goes_on.is_some();
        if let Some(Outgoing {
            to, header, body, ..
        }) = goes_on
        {
            self.outbox.frame(to, &header, &body)?;
        }
        match pass.wanted {
            // The next chunk enters while this one is further down the ring.
            Wanted::Nothing if under_way => self.enter_behind(pass.position + pass.columns),
            Wanted::Nothing => self.enter_next(),
            Wanted::LastColumn if placed.ring.last() == 0 => self.on_logits(&pass, values)?,
            Wanted::LastColumn => {}
        }
        Ok(())
    }

    /// The last column came back from the ring.
    pub(super) fn on_frame(&mut self, from: MemberId, frame: &Frame) -> Result<(), SessionError> {
        let misbehaved = |detail| SessionError::Misbehaved {
            member: from,
            detail,
        };
        let (Some(answer), Some(placed)) = (&mut self.answer, &self.placed) else {
            return Ok(());
        };
        let header = &frame.header;
        let last = header.step + 1 == answer.steps
            && header.columns == 1
            && header.position + 1 == answer.entered
            && header.wanted == Wanted::LastColumn;
        let earlier = header.step < answer.steps && header.position < answer.entered;
        if !last && !earlier {
            return Err(misbehaved("a frame that nobody waits for"));
        }
        if !last || !core::mem::take(&mut answer.awaited) {
            // It came before.
            return Ok(());
        }
        answer.moved_ms = self.now_ms;
        let (pass, input) = placed.ring.enter(frame).map_err(misbehaved)?;
        let last = placed.ring.last();
        self.run(last, pass, input);
        Ok(())
    }

    fn on_logits(&mut self, pass: &Pass, logits: &[f32]) -> Result<(), SessionError> {
        let Some(answer) = &mut self.answer else {
            return Ok(());
        };
        if logits.len() as u64 != u64::from(self.config.graph.vocabulary) {
            return Err(SessionError::Engine {
                detail: "not one logit per token of the vocabulary",
            });
        }
        let lap_ms = self.now_ms.saturating_sub(answer.entered_ms);
        if !pass.prefill {
            answer.add_timings(&pass.timings);
        }
        let id = (answer.next_token)(logits, &answer.ids);
        if !pass.prefill && pass.columns == 1 {
            self.observe_lap(lap_ms, &pass.timings);
        }
        let Some(answer) = &mut self.answer else {
            return Ok(());
        };
        if answer.stop_ids.contains(&id) {
            self.finish("stop");
            return Ok(());
        }
        self.check_token(id)?;
        self.add_token(id);
        Ok(())
    }

    fn add_token(&mut self, id: u32) {
        let Some(answer) = &mut self.answer else {
            return;
        };
        answer.ids.push(id);
        answer.last_token_ms = self.now_ms;
        if answer.generated() == 1 {
            answer.first_token_ms = self.now_ms;
        }
        self.outbox.event(Event::Token {
            request: self.request,
            id,
            at_ms: self.now_ms.saturating_sub(answer.started_ms) as f64,
        });
        let full = answer.entered >= self.config.class.context_columns;
        let (columns, left) = (
            answer.entered,
            answer.max_tokens.saturating_sub(answer.generated()),
        );
        match left == 0 || full {
            true => self.finish("length"),
            // Otherwise it goes on when the next plan is loaded.
            false if self.consider_move(columns, left) => {}
            false => self.enter_next(),
        }
    }

    fn finish(&mut self, reason: &str) {
        let Some(answer) = self.end_request() else {
            return;
        };
        let tokens = answer.generated();
        self.overlapping.wait(self.now_ms);
        let to_first = answer.first_token_ms.saturating_sub(answer.started_ms);
        let writing_s = answer.last_token_ms.saturating_sub(answer.first_token_ms) as f64 / 1000.0;
        self.note_stage_times(&answer);
        self.outbox.event(Event::Finished {
            request: self.request,
            tokens,
            reason: reason.to_owned(),
            ms_to_first_token: to_first as f64,
            tok_per_s: match writing_s > 0.0 {
                true => f64::from(tokens.saturating_sub(1)) / writing_s,
                false => 0.0,
            },
        });
    }

    /// Forgets the answer and makes what is on its way stale.
    pub(super) fn end_request(&mut self) -> Option<Answer> {
        let answer = self.answer.take()?;
        self.jobs
            .retain(|_, doing| !matches!(doing, Doing::Run { .. }));
        let request = self.request;
        self.tell_ring(&Control::EndRequest { request });
        Some(answer)
    }

    fn tell_ring(&mut self, message: &Control) {
        let Some(placed) = &self.placed else { return };
        for (member, _) in self.members.iter().filter(|(id, _)| **id != MemberId::HOST) {
            if placed.ring.contains(*member) {
                self.outbox.control(*member, message);
            }
        }
    }

    fn note_stage_times(&mut self, answer: &Answer) {
        let Some(placed) = self.placed.as_ref().filter(|_| answer.timed > 0) else {
            return;
        };
        for (id, member) in &mut self.members {
            let stages = placed.ring.plan.stages.iter().zip(&answer.stage_ms);
            let own = stages.filter(|(stage, _)| stage.member == *id);
            let total: f64 = own.map(|(_, ms)| ms).sum();
            member.ms_per_token = placed
                .ring
                .contains(*id)
                .then_some(total / f64::from(answer.timed));
        }
        self.changed = true;
    }
}

impl Answer {
    /// Times that cannot be count as none.
    fn add_timings(&mut self, timings: &[f32]) {
        self.stage_ms.resize(timings.len(), 0.0);
        for (sum, ms) in self.stage_ms.iter_mut().zip(timings) {
            if ms.is_finite() && *ms >= 0.0 {
                *sum += f64::from(*ms);
            }
        }
        self.timed += 1;
    }
}
