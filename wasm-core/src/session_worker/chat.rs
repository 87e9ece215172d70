//! Text around a session of ids: prompts in, answers out. Only the host's page has it.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use model::gguf;
use plan::MemberId;
use session::{Asker, Command, Fault, Writer};
use text::{ChatTemplate, DecodeStream, Forced, Sampler, TextError, Tokenizer, Vocabulary};

use crate::{
    error::of_text,
    messages::{Prompt, Question},
};

/// Tokenizer and chat template of the room's model.
pub struct Chat {
    tokenizer: Tokenizer,
    /// A model without one still continues raw text.
    template: Result<ChatTemplate, TextError>,
    /// Prompts of this page whose answers ended just now, by question.
    answered: Rc<RefCell<BTreeMap<u32, Vec<u32>>>>,
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
            answered: Rc::default(),
        })
    }

    /// A question in ids, with the writer of its answer.
    ///
    /// # Errors
    /// Templates that refuse the messages, sampling options out of range.
    pub fn ask(&self, asker: Asker, question: &Question) -> Result<Command, Fault> {
        self.command(asker, question)
            .map_err(|error| of_text(&error))
    }

    fn command(&self, asker: Asker, question: &Question) -> Result<Command, TextError> {
        let prompt_ids = self.prompt_ids(&question.prompt)?;
        let sampler = Sampler::new(question.sampling, question.seed)?;
        let start_ids = match &question.answer_start {
            Some(start) => self.tokenizer.encode(start, false, false)?,
            None => Vec::new(),
        };
        let start_tokens = u32::try_from(start_ids.len()).unwrap_or(u32::MAX);
        Ok(Command::Generate {
            asker,
            max_tokens: question.max_tokens.saturating_add(start_tokens),
            stop_ids: self.tokenizer.stop_ids().to_vec(),
            writer: Box::new(Answer {
                asker,
                sampler,
                start: Forced::new(start_ids),
                stream: self.tokenizer.decode_stream(),
                prompt_ids: prompt_ids.clone(),
                answered: Rc::clone(&self.answered),
            }),
            prompt_ids,
        })
    }

    /// The prompt of this page whose answer ended just now, in ids.
    pub fn take_answered(&self, question: u32) -> Vec<u32> {
        let prompt_ids = self.answered.borrow_mut().remove(&question);
        prompt_ids.unwrap_or_default()
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
    prompt_ids: Vec<u32>,
    answered: Rc<RefCell<BTreeMap<u32, Vec<u32>>>>,
}

impl Writer for Answer {
    fn next(&mut self, logits: &[f32], ids: &[u32]) -> u32 {
        let given = self.start.next(logits);
        given.unwrap_or_else(|| self.sampler.next(logits, ids))
    }

    fn text(&mut self, id: u32) -> String {
        self.stream.push(id)
    }

    fn rest(&mut self) -> String {
        if self.asker.member == MemberId::HOST {
            let prompt_ids = core::mem::take(&mut self.prompt_ids);
            let mut answered = self.answered.borrow_mut();
            answered.insert(self.asker.question, prompt_ids);
        }
        self.stream.finish()
    }

    fn start_log_likelihood(&self) -> f64 {
        self.start.log_likelihood()
    }
}
