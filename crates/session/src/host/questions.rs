//! Questions: asked, waiting for a slot, in flight, ended.

use std::collections::BTreeSet;

use plan::MemberId;
use proto::control::MAX_QUESTION_BYTES;
use proto::{Control, Ending, Fault, Summary};

use super::answer::{Answer, Progress};
use super::{Doing, Host, Wish};
use crate::asker::Asker;
use crate::error::SessionError;
use crate::seam::{Event, Output, Writer};

/// Questions that may wait for a slot.
const MAX_WAITING: usize = 16;
/// Of those, and of the answers in flight, so many may be of one member that is not the host.
const MAX_PER_MEMBER: usize = 4;

impl Host {
    pub(super) fn ask(
        &mut self,
        asker: Asker,
        prompt_ids: Vec<u32>,
        written_ids: Vec<u32>,
        max_tokens: u32,
        stop_ids: Vec<u32>,
        writer: Box<dyn Writer>,
    ) -> Result<(), SessionError> {
        self.check_question(&prompt_ids, &written_ids)?;
        let written = u32::try_from(written_ids.len()).unwrap_or(u32::MAX);
        let prompt_columns = u32::try_from(prompt_ids.len()).unwrap_or(u32::MAX);
        let mut answer = Answer {
            asker,
            asked_ms: self.now_ms,
            prompt_len: prompt_ids.len(),
            written,
            ids: [prompt_ids, written_ids].concat(),
            max_tokens,
            stop_ids,
            writer,
            first_token_ms: self.now_ms,
            last_token_ms: self.now_ms,
            stage_ms: Vec::new(),
            timed: 0,
            progress: Progress::new(0, 0, prompt_columns, self.now_ms),
        };
        if written > 0 {
            self.tell_resumed(&mut answer);
        }
        if max_tokens <= written {
            self.tell_finished(&mut answer, Ending::Length);
            return Ok(());
        }
        self.questions.push_back(answer);
        self.admit();
        Ok(())
    }

    /// This page is told what an answer had before it was loaded again; only its own go on.
    fn tell_resumed(&mut self, answer: &mut Answer) {
        let ids: Vec<u32> = answer.ids.iter().skip(answer.prompt_len).copied().collect();
        let text = ids.iter().map(|id| answer.writer.text(*id)).collect();
        let question = answer.asker.question;
        self.outbox.event(Event::Resumed {
            question,
            ids,
            text,
        });
    }

    fn check_question(&self, prompt_ids: &[u32], written_ids: &[u32]) -> Result<(), SessionError> {
        if !self.is_ready() && !self.is_mending() {
            return Err(SessionError::NotReady);
        }
        if self.questions.len() >= MAX_WAITING {
            return Err(SessionError::QueueFull { most: MAX_WAITING });
        }
        if prompt_ids.is_empty() {
            return Err(SessionError::EmptyPrompt);
        }
        let context_columns = self.config.class.context_columns;
        let tokens = prompt_ids.len() + written_ids.len();
        if tokens as u64 > u64::from(context_columns) {
            return Err(SessionError::PromptTooLong {
                tokens,
                context_columns,
            });
        }
        let mut ids = prompt_ids.iter().chain(written_ids);
        ids.try_for_each(|id| self.check_token(*id))
    }

    /// A plan is loaded.
    fn is_ready(&self) -> bool {
        let loaded = |placed: &super::Placed| placed.loading.is_empty();
        self.placed.as_ref().is_some_and(loaded) && self.wish == Wish::Nothing
    }

    /// There was a plan, and there will be another one.
    pub(super) fn is_mending(&self) -> bool {
        self.was_ready
            && self.wish != Wish::Plan
            && (self.placed.is_some() || self.wish != Wish::Nothing)
    }

    /// Nothing is asked that is not answered.
    pub(super) fn is_idle(&self) -> bool {
        self.answers.is_empty() && self.questions.is_empty()
    }

    pub(super) fn check_token(&self, id: u32) -> Result<(), SessionError> {
        let vocabulary = self.config.graph.vocabulary;
        match id < vocabulary {
            true => Ok(()),
            false => Err(SessionError::UnknownToken { id, vocabulary }),
        }
    }

    /// Questions that wait enter, in order, as long as there are slots.
    pub(super) fn admit(&mut self) {
        while self.is_ready() && !self.questions.is_empty() {
            let Some(slot) = self.free_slot() else { return };
            let Some(mut answer) = self.questions.pop_front() else {
                return;
            };
            self.request += 1;
            let request = self.request;
            answer.progress = Progress::new(request, slot, answer.prompt_columns(), self.now_ms);
            self.answers.insert(request, answer);
            self.tell_ring(&Control::BeginRequest { request, slot });
            self.enter_next(request);
        }
    }

    fn free_slot(&self) -> Option<u32> {
        let slots = self.placed.as_ref()?.ring.plan.slots;
        let taken: BTreeSet<u32> = self.answers.values().map(Answer::slot).collect();
        (0..slots).find(|slot| !taken.contains(slot))
    }

    /// A plan with fewer slots than before: who has none any more waits in front of the others, and is written from its ids.
    pub(super) fn put_back_slotless(&mut self) {
        let slots = self.placed.as_ref().map(|placed| placed.ring.plan.slots);
        let slotless = |answer: &Answer| slots.is_some_and(|slots| answer.slot() >= slots);
        let back: Vec<_> = self
            .answers
            .extract_if(.., |_, answer| slotless(answer))
            .collect();
        for (request, answer) in back.into_iter().rev() {
            self.history.forget(request);
            self.questions.push_front(answer);
        }
    }

    /// Ends an answer at once; what is still on its way is stale.
    pub(super) fn stop(&mut self, asker: Asker) {
        let mut answers = self.answers.iter();
        if let Some((request, _)) = answers.find(|(_, answer)| answer.asker == asker) {
            return self.finish(*request, Ending::Cancelled);
        }
        let mut waiting = self.questions.iter();
        let at = waiting.position(|answer| answer.asker == asker);
        if let Some(mut answer) = at.and_then(|at| self.questions.remove(at)) {
            self.tell_finished(&mut answer, Ending::Cancelled);
        }
    }

    /// A member wants to know something: the driver makes ids of it.
    pub(super) fn on_asked(&mut self, member: MemberId, question: u32, payload: String) {
        let asker = Asker { member, question };
        let most = MAX_PER_MEMBER;
        let refusal = match payload.len() {
            bytes if bytes > MAX_QUESTION_BYTES => Some(SessionError::QuestionTooLong {
                bytes,
                most: MAX_QUESTION_BYTES,
            }),
            _ if !self.config.members_may_ask => Some(SessionError::OnlyHostAsks),
            _ if self.asked_by(member) >= most => Some(SessionError::QueueFull { most }),
            _ => None,
        };
        match refusal {
            Some(error) => self.refuse(asker, error.into()),
            None => self.outbox.push(Output::Asked { asker, payload }),
        }
    }

    fn asked_by(&self, member: MemberId) -> usize {
        let all = self.answers.values().chain(&self.questions);
        all.filter(|answer| answer.asker.member == member).count()
    }

    /// There will be no answer.
    pub(super) fn refuse(&mut self, asker: Asker, fault: Fault) {
        let Asker { member, question } = asker;
        match member {
            MemberId::HOST => self.outbox.event(Event::Refused { question, fault }),
            _ if self.members.contains_key(&member) => self
                .outbox
                .control(member, &Control::Refused { question, fault }),
            _ => {}
        }
    }

    /// Nobody reads what a member that is gone had asked.
    pub(super) fn forget_questions_of(&mut self, member: MemberId) {
        self.questions
            .retain(|answer| answer.asker.member != member);
        let answers = self.answers.iter();
        let of_member = answers.filter(|(_, answer)| answer.asker.member == member);
        let requests: Vec<u32> = of_member.map(|(request, _)| *request).collect();
        for request in requests {
            self.end_request(request);
        }
    }

    /// Whether a frame's request is not being answered.
    pub(super) fn is_stale(&self, request: u32) -> bool {
        !self.answers.contains_key(&request)
    }

    pub(super) fn finish(&mut self, request: u32, reason: Ending) {
        let Some(mut answer) = self.end_request(request) else {
            return;
        };
        self.overlapping.wait(self.now_ms);
        self.note_stage_times(&answer);
        self.tell_finished(&mut answer, reason);
        self.admit();
    }

    fn tell_finished(&mut self, answer: &mut Answer, reason: Ending) {
        let tokens = answer.generated();
        let to_first = answer.first_token_ms.saturating_sub(answer.asked_ms);
        let writing_s = answer.last_token_ms.saturating_sub(answer.first_token_ms) as f64 / 1000.0;
        let summary = Summary {
            prompt_tokens: answer.prompt_columns(),
            tokens,
            reason,
            ms_to_first_token: to_first as f64,
            tok_per_s: match writing_s > 0.0 {
                true => f64::from((tokens - answer.written).saturating_sub(1)) / writing_s,
                false => 0.0,
            },
            start_log_likelihood: answer.writer.start_log_likelihood(),
        };
        let rest = answer.writer.rest();
        let Asker { member, question } = answer.asker;
        match member {
            MemberId::HOST => self.outbox.event(Event::finished(question, rest, summary)),
            _ => self.outbox.control(
                member,
                &Control::Answered {
                    question,
                    rest,
                    summary,
                },
            ),
        }
    }

    /// Forgets an answer and makes what is on its way stale.
    fn end_request(&mut self, request: u32) -> Option<Answer> {
        let answer = self.answers.remove(&request)?;
        self.jobs
            .retain(|_, doing| !matches!(doing, Doing::Run { request: of, .. } if *of == request));
        self.turns.forget(request);
        self.history.forget(request);
        self.tell_ring(&Control::EndRequest { request });
        Some(answer)
    }

    /// Nothing will be answered any more.
    pub(super) fn end_all_requests(&mut self, why: &Fault) {
        let requests: Vec<u32> = self.answers.keys().copied().collect();
        let answers = requests
            .into_iter()
            .filter_map(|request| self.end_request(request));
        let answers: Vec<_> = answers.collect();
        let waiting = core::mem::take(&mut self.questions);
        for answer in answers.into_iter().chain(waiting) {
            self.refuse(answer.asker, why.clone());
        }
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
