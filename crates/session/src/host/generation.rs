//! One answer: the prompt in chunks, then token after token around the ring.

use plan::MemberId;
use proto::{Control, Frame, Wanted};

use super::{Doing, Host};
use crate::error::SessionError;
use crate::ring::Pass;
use crate::seam::{Event, JobInput, NextToken};

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
    /// Forward calls begun.
    steps: u32,
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
        self.answer = Some(Answer {
            started_ms: self.now_ms,
            prompt_len: prompt_ids.len(),
            ids: prompt_ids,
            max_tokens,
            stop_ids,
            next_token,
            entered: 0,
            steps: 0,
            first_token_ms: self.now_ms,
            last_token_ms: self.now_ms,
            stage_ms: Vec::new(),
            timed: 0,
        });
        let request = self.request;
        self.tell_ring(&Control::BeginRequest { request });
        match max_tokens {
            0 => self.finish("length"),
            _ => self.enter_next(),
        }
        Ok(())
    }

    fn check_question(&self, prompt_ids: &[u32]) -> Result<(), SessionError> {
        let ready = |placed: &super::Placed| placed.loading.is_empty();
        if !self.placed.as_ref().is_some_and(ready) || self.begun {
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

    /// The next columns enter the first stage: a chunk of the prompt on the absolute grid, or the token just drawn.
    fn enter_next(&mut self) {
        let Some(answer) = &mut self.answer else {
            return;
        };
        let position = answer.entered;
        let start = position as usize;
        let prefill = start < answer.prompt_len;
        let end = match prefill {
            true => {
                let chunk = self.config.class.chunk_columns.max(1);
                let grid = (position / chunk + 1).saturating_mul(chunk) as usize;
                grid.min(answer.prompt_len)
            }
            false => answer.ids.len(),
        };
        let Some(tokens) = answer.ids.get(start..end) else {
            return;
        };
        let columns = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
        let input = JobInput::Tokens(tokens.to_vec());
        let wanted = match end < answer.prompt_len {
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
        answer.steps += 1;
        self.run(0, pass, input);
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
            Err(error) => self.drop_plan(error),
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
            self.drop_plan(error);
        }
    }

    fn on_first_ran(&mut self, pass: Pass, values: &[f32]) -> Result<(), SessionError> {
        let Some(placed) = &self.placed else {
            return Ok(());
        };
        if let Some((to, header, body)) = placed.ring.forward(0, &pass, values)? {
            self.outbox.frame(to, &header, &body)?;
        }
        match pass.wanted {
            // The next chunk enters while this one is further down the ring.
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
        let awaited = header.step + 1 == answer.steps
            && header.columns == 1
            && header.position + 1 == answer.entered
            && header.wanted == Wanted::LastColumn;
        if !awaited {
            return Err(misbehaved("a frame that nobody waits for"));
        }
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
        if !pass.prefill {
            answer.add_timings(&pass.timings);
        }
        let id = (answer.next_token)(logits, &answer.ids);
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
        match answer.generated() >= answer.max_tokens || full {
            true => self.finish("length"),
            false => self.enter_next(),
        }
    }

    fn finish(&mut self, reason: &str) {
        let Some(answer) = self.end_request() else {
            return;
        };
        let tokens = answer.generated();
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
