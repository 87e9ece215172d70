//! Text around a session of ids: prompts in, answers out. Only the host's page has it.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use model::gguf;
use plan::MemberId;
use session::{Asker, Command, Fault, Writer};
use text::{ChatTemplate, DecodeStream, Forced, Sampler, TextError, Tokenizer, Vocabulary};

use super::kept::{KeptAnswer, Written};
use crate::{
    error::of_text,
    messages::{Prompt, Question},
};

/// Tokenizer and chat template of the room's model.
pub struct Chat {
    tokenizer: Tokenizer,
    /// A model without one still continues raw text.
    template: Result<ChatTemplate, TextError>,
    /// Answers to this page that were begun, by question.
    begun: Rc<RefCell<BTreeMap<u32, Begun>>>,
}

/// What an answer to this page came from, and how its beginning went.
struct Begun {
    question: Question,
    prompt_ids: Vec<u32>,
    start_log_likelihood: f64,
}

impl Chat {
    /// Reads the vocabulary of a model file.
    ///
    /// # Errors
    /// A tokenizer that is not supported.
    pub fn new(header: &gguf::Header) -> Result<Self, Fault> {
        let vocabulary = Vocabulary::of(&header.metadata);
        let tokenizer = Tokenizer::new(&vocabulary).map_err(|error| of_text(&error))?;
        Ok(Self {
            tokenizer,
            template: ChatTemplate::new(&vocabulary),
            begun: Rc::default(),
        })
    }

    /// A question in ids, with the writer of its answer.
    ///
    /// # Errors
    /// Templates that refuse the messages, sampling options out of range.
    pub fn ask(&self, asker: Asker, question: &Question) -> Result<Command, Fault> {
        self.go_on(asker, question, Written::default())
    }

    /// The same, behind tokens that were written before the page was loaded again: the next ones are drawn as if it had not been.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn go_on(
        &self,
        asker: Asker,
        question: &Question,
        written: Written,
    ) -> Result<Command, Fault> {
        self.command(asker, question, written)
            .map_err(|error| of_text(&error))
    }

    fn command(
        &self,
        asker: Asker,
        question: &Question,
        written: Written,
    ) -> Result<Command, TextError> {
        let prompt_ids = self.prompt_ids(&question.prompt)?;
        let mut sampler = Sampler::new(question.sampling, question.seed)?;
        let start_ids = match &question.answer_start {
            Some(start) => self.tokenizer.encode(start, false, false)?,
            None => Vec::new(),
        };
        let start_tokens = u32::try_from(start_ids.len()).unwrap_or(u32::MAX);
        let given = written.ids.len().min(start_ids.len());
        sampler.skip(written.ids.len() - given);
        let own = (asker.member == MemberId::HOST).then(|| Begun {
            question: question.clone(),
            prompt_ids: prompt_ids.clone(),
            start_log_likelihood: written.start_log_likelihood,
        });
        let mut answer = Answer {
            asker,
            sampler,
            start: Forced::behind(start_ids, given, written.start_log_likelihood),
            stream: self.tokenizer.decode_stream(),
            own,
            ended: false,
            begun: Rc::clone(&self.begun),
        };
        if !written.ids.is_empty() {
            answer.note();
        }
        Ok(Command::Generate {
            asker,
            prompt_ids,
            written_ids: written.ids,
            max_tokens: question.max_tokens.saturating_add(start_tokens),
            stop_ids: self.tokenizer.stop_ids().to_vec(),
            writer: Box::new(answer),
        })
    }

    /// The prompt of this page whose answer ended, in ids.
    pub fn take_ended(&self, question: u32) -> Vec<u32> {
        let begun = self.begun.borrow_mut().remove(&question);
        begun.map_or_else(Vec::new, |begun| begun.prompt_ids)
    }

    /// An answer being written to this page, with these tokens, as it goes on after a reload.
    pub fn kept(&self, question: u32, ids: &[u32]) -> Option<KeptAnswer> {
        let begun = self.begun.borrow();
        begun.get(&question).map(|begun| KeptAnswer {
            number: question,
            question: begun.question.clone(),
            written: Written {
                ids: ids.to_vec(),
                start_log_likelihood: begun.start_log_likelihood,
            },
        })
    }

    fn prompt_ids(&self, prompt: &Prompt) -> Result<Vec<u32>, TextError> {
        match prompt {
            Prompt::Text(text) => self.tokenizer.encode(text, false, true),
            Prompt::Messages(messages) => {
                let template = self.template.as_ref().map_err(Clone::clone)?;
                self.tokenizer
                    .encode(&template.render(messages, true)?, true, true)
            }
        }
    }
}

/// An answer being written.
struct Answer {
    asker: Asker,
    sampler: Sampler,
    /// The beginning it was given.
    start: Forced,
    stream: DecodeStream,
    /// Of an answer to this page, until it is begun: the session may refuse the question.
    own: Option<Begun>,
    ended: bool,
    begun: Rc<RefCell<BTreeMap<u32, Begun>>>,
}

impl Answer {
    /// Writes down that an answer to this page is begun, and how its beginning goes.
    fn note(&mut self) {
        let Asker { member, question } = self.asker;
        if member != MemberId::HOST {
            return;
        }
        let mut answers = self.begun.borrow_mut();
        answers.extend(self.own.take().map(|own| (question, own)));
        if let Some(begun) = answers.get_mut(&question) {
            begun.start_log_likelihood = self.start.log_likelihood();
        }
    }
}

/// An answer that is given up has no end that anybody would read about, and does not go on after a reload.
impl Drop for Answer {
    fn drop(&mut self) {
        if self.asker.member == MemberId::HOST && !self.ended {
            self.begun.borrow_mut().remove(&self.asker.question);
        }
    }
}

impl Writer for Answer {
    fn next(&mut self, logits: &[f32], ids: &[u32]) -> u32 {
        let given = self.start.next(logits);
        self.note();
        given.unwrap_or_else(|| self.sampler.next(logits, ids))
    }

    fn text(&mut self, id: u32) -> String {
        self.stream.push(id)
    }

    fn rest(&mut self) -> String {
        self.note();
        self.ended = true;
        self.stream.finish()
    }

    fn start_log_likelihood(&self) -> f64 {
        self.start.log_likelihood()
    }
}
