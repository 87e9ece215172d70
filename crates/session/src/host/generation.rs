//! The token loop: of every request in flight the prompt in chunks, then token after token around the ring.

use plan::MemberId;
use proto::{Control, Ending, Frame, Resume, Wanted};

use super::{Doing, Host};
use crate::asker::Asker;
use crate::error::SessionError;
use crate::history;
use crate::ring::{Outgoing, Pass};
use crate::seam::{Event, JobInput};

/// An answer that did not move for so long, and for so many times what its columns take, is stuck.
const STALL_MS: u64 = 15_000;
const STALL_FACTOR: f64 = 3.0;

/// Chunks of a prompt on their way for each stage in front of the head: one is computed there, the next one is in the air.
const CHUNKS_PER_STAGE: usize = 2;

/// Which part of a pass the engine of this page runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Leg {
    First(Pass),
    Head(Pass),
}

/// Work of a request for the engine of this page.
#[derive(Debug)]
pub(crate) struct Turn {
    leg: Leg,
    input: JobInput,
}

impl Leg {
    const fn pass(&self) -> &Pass {
        match self {
            Self::First(pass) | Self::Head(pass) => pass,
        }
    }
}

impl Host {
    /// How each answer goes on with the plan that is loaded now.
    pub(super) fn resume_points(&self) -> Vec<Resume> {
        let Some(placed) = &self.placed else {
            return Vec::new();
        };
        let before_head = placed.ring.plan.stages.len().saturating_sub(1).max(1);
        let points = self.answers.iter().map(|(request, answer)| {
            let stages = placed.ring.plan.stages.iter().take(before_head);
            let held = stages.map(|stage| {
                let mut held = placed.held.get(&stage.member).into_iter().flatten();
                let held = held.find(|held| held.request == *request);
                held.copied().unwrap_or_default()
            });
            let held: Vec<_> = held.collect();
            let progress = &answer.progress;
            Resume {
                position: progress.entered,
                starts: history::starts(&held, progress.entered),
                ..progress.resume.clone()
            }
        });
        points.collect()
    }

    /// The new plan is loaded: an answer goes on.
    pub(super) fn resume(&mut self, resume: Resume) {
        let request = resume.request;
        let (Some(answer), Some(placed)) = (self.answers.get_mut(&request), &self.placed) else {
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
        answer.progress.entered = start.map_or(0, |start| start.from);
        answer.progress.resume = resume;
        for Outgoing {
            to, header, body, ..
        } in again
        {
            if let Err(error) = self.outbox.frame(to, &header, &body) {
                return self.on_failed(MemberId::HOST, error.into());
            }
        }
        self.enter_next(request);
    }

    /// When an answer that does not move counts as stuck: long after the slowest of phones would have done it, and what is in front of it.
    pub(super) fn stall_due_ms(&self) -> Option<u64> {
        let placed = self.placed.as_ref()?;
        let columns: u32 = self
            .answers
            .values()
            .map(|answer| answer.progress.entered)
            .sum();
        let ms = placed.ring.plan.predicted_ms_per_token * f64::from(columns) * STALL_FACTOR;
        let moved_ms = self.answers.values().map(|answer| answer.progress.moved_ms);
        let due_ms = moved_ms.min()? + STALL_MS + ms.min(f64::from(u32::MAX)) as u64;
        placed.loading.is_empty().then_some(due_ms)
    }

    /// The next columns enter the first stage: a chunk of the prompt on the absolute grid, or generated tokens, as the numeric contract
    /// has them whether they enter for the first time or again.
    pub(super) fn enter_next(&mut self, request: u32) {
        let alone = (self.answers.len() == 1).then_some(self.request);
        let Some(answer) = self.answers.get_mut(&request) else {
            return;
        };
        let Some(placed) = &self.placed else { return };
        let progress = &mut answer.progress;
        let position = progress.entered;
        let prefill = position < progress.resume.prompt_columns;
        let most = u32::try_from(answer.ids.len()).unwrap_or(u32::MAX);
        let end = placed.ring.pass_end(position, most, &progress.resume) as usize;
        let Some(tokens) = answer.ids.get(position as usize..end) else {
            return;
        };
        let columns = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
        let input = JobInput::Tokens(tokens.to_vec());
        let wanted = match end < answer.ids.len() {
            true => Wanted::Nothing,
            false => Wanted::LastColumn,
        };
        let pass = Pass {
            request,
            step: progress.steps,
            position,
            columns,
            prefill,
            wanted,
            timings: Vec::new(),
        };
        progress.entered += columns;
        progress.last_position = position;
        progress.steps += 1;
        progress.under_way = true;
        progress.awaited = wanted == Wanted::LastColumn;
        progress.moved_ms = self.now_ms;
        progress.entered_ms = self.now_ms;
        progress.entered_alone = alone;
        self.run(Leg::First(pass), input);
    }

    /// The next chunk enters behind one that ends here, unless there are enough on their way.
    fn enter_behind(&mut self, request: u32, end: u32) {
        let (Some(answer), Some(placed)) = (self.answers.get_mut(&request), &self.placed) else {
            return;
        };
        let progress = &mut answer.progress;
        progress.chunks.push_back(end);
        progress.held_back =
            progress.chunks.len() >= CHUNKS_PER_STAGE * usize::from(placed.ring.last());
        if !progress.held_back {
            self.enter_next(request);
        }
    }

    /// A chunk got as far as it goes.
    pub(super) fn on_passed(&mut self, epoch: u32, request: u32, position: u32) {
        if epoch != self.epoch {
            return;
        }
        let Some(answer) = self.answers.get_mut(&request) else {
            return;
        };
        let progress = &mut answer.progress;
        let before = progress.chunks.len();
        progress.chunks.retain(|end| *end > position);
        if progress.chunks.len() < before {
            progress.moved_ms = self.now_ms;
            if core::mem::take(&mut progress.held_back) {
                self.enter_next(request);
            }
        }
    }

    /// The engine of this page will run its first or its last stage, when it is the request's turn.
    fn run(&mut self, leg: Leg, input: JobInput) {
        self.turns.push(leg.pass().request, Turn { leg, input });
        self.run_next();
    }

    /// One forward call at a time.
    fn run_next(&mut self) {
        let runs = |doing: &Doing| matches!(doing, Doing::Run { .. });
        if self.jobs.values().any(runs) {
            return;
        }
        let Some(placed) = &self.placed else { return };
        let Some(Turn { leg, input }) = self.turns.next(|_| true) else {
            return;
        };
        let pass = leg.pass();
        let request = pass.request;
        let Some(slot) = self.answers.get(&request).map(super::Answer::slot) else {
            return;
        };
        let index = match &leg {
            Leg::First(_) => 0,
            Leg::Head(_) => placed.ring.last(),
        };
        match placed.ring.job(index, slot, pass, input) {
            Ok(work) => {
                let job = self.outbox.compute(work);
                self.jobs.insert(job, Doing::Run { request, leg });
            }
            Err(error) => self.on_failed(MemberId::HOST, error.into()),
        }
    }

    /// The engine of this page ran a stage.
    pub(super) fn on_ran(&mut self, request: u32, leg: Leg, values: &[f32], compute_ms: f64) {
        let done = match leg {
            _ if self.is_stale(request) => Ok(()),
            Leg::First(mut pass) => {
                pass.timings.push(compute_ms as f32);
                self.on_first_ran(pass, values)
            }
            Leg::Head(mut pass) => {
                pass.timings.push(compute_ms as f32);
                self.on_logits(&pass, values)
            }
        };
        match done {
            Ok(()) => self.run_next(),
            Err(error) => self.on_failed(MemberId::HOST, error.into()),
        }
    }

    fn on_first_ran(&mut self, pass: Pass, values: &[f32]) -> Result<(), SessionError> {
        let (Some(answer), Some(placed)) = (self.answers.get(&pass.request), &self.placed) else {
            return Ok(());
        };
        let sent = placed.ring.forward(0, &pass, values)?;
        let cut = placed.ring.stage(0).map_or(0, |stage| stage.units.end);
        let on_the_way = placed.ring.last() > 1;
        let columns = sent.as_ref().filter(|_| on_the_way).map(Outgoing::columns);
        self.history.ran(&pass, answer.slot(), cut, columns);
        let from = history::forward_from(&answer.progress.resume, 0);
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
            Wanted::Nothing if under_way => {
                self.enter_behind(pass.request, pass.position + pass.columns);
            }
            Wanted::Nothing => self.enter_next(pass.request),
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
        let header = &frame.header;
        let (Some(answer), Some(placed)) = (self.answers.get_mut(&header.request), &self.placed)
        else {
            return Ok(());
        };
        let progress = &mut answer.progress;
        let last = header.step + 1 == progress.steps
            && header.columns == 1
            && header.position + 1 == progress.entered
            && header.wanted == Wanted::LastColumn;
        let earlier = header.step < progress.steps && header.position < progress.entered;
        if !last && !earlier {
            return Err(misbehaved("a frame that nobody waits for"));
        }
        if !last || !core::mem::take(&mut progress.awaited) {
            // It came before.
            return Ok(());
        }
        progress.moved_ms = self.now_ms;
        let (pass, input) = placed.ring.enter(frame).map_err(misbehaved)?;
        self.run(Leg::Head(pass), input);
        Ok(())
    }

    fn on_logits(&mut self, pass: &Pass, logits: &[f32]) -> Result<(), SessionError> {
        let request = pass.request;
        if logits.len() as u64 != u64::from(self.config.graph.vocabulary) {
            return Err(SessionError::Engine {
                detail: "not one logit per token of the vocabulary",
            });
        }
        let Some(answer) = self.answers.get_mut(&request) else {
            return Ok(());
        };
        let lap_ms = self.now_ms.saturating_sub(answer.progress.entered_ms);
        let alone = answer.progress.entered_alone == Some(self.request);
        if !pass.prefill {
            answer.add_timings(&pass.timings);
        }
        let id = answer.writer.next(logits, &answer.ids);
        answer.progress.under_way = false;
        let stops = answer.stop_ids.contains(&id);
        if !pass.prefill && pass.columns == 1 {
            self.observe_lap(lap_ms, &pass.timings, alone);
        }
        if stops {
            self.finish(request, Ending::Stop);
            return Ok(());
        }
        self.check_token(id)?;
        self.add_token(request, id);
        Ok(())
    }

    fn add_token(&mut self, request: u32, id: u32) {
        let Some(answer) = self.answers.get_mut(&request) else {
            return;
        };
        answer.ids.push(id);
        answer.last_token_ms = self.now_ms;
        if answer.generated() == answer.written + 1 {
            answer.first_token_ms = self.now_ms;
        }
        let text = answer.writer.text(id);
        let Asker { member, question } = answer.asker;
        match member {
            MemberId::HOST => self.outbox.event(Event::Token {
                question,
                id,
                text,
                at_ms: self.now_ms.saturating_sub(answer.asked_ms) as f64,
            }),
            _ => self
                .outbox
                .control(member, &Control::Said { question, id, text }),
        }
        let full = answer.progress.entered >= self.config.class.context_columns;
        match answer.generated() >= answer.max_tokens || full {
            true => self.finish(request, Ending::Length),
            // Otherwise it goes on when the next plan is loaded.
            false if self.consider_move() => {}
            false => self.enter_next(request),
        }
    }
}
