//! Text around a session of ids: prompts in, answers out. Only the host's page has it.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use model::gguf;
use session::{Command, Fault};
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
    /// Number of the latest question.
    latest: u32,
    /// The answers being written, by question.
    answers: Rc<RefCell<BTreeMap<u32, Answer>>>,
}

/// An answer so far.
pub struct Answer {
    prompt_ids: Vec<u32>,
    ids: Vec<u32>,
    text: String,
    stream: DecodeStream,
    /// The beginning it was given.
    start: Rc<RefCell<Forced>>,
}

/// An answer that ended.
#[derive(Default)]
pub struct Finished {
    /// Of the prompt.
    pub prompt_ids: Vec<u32>,
    /// Generated.
    pub ids: Vec<u32>,
    /// Decoded.
    pub text: String,
    /// Of the beginning it was given, natural logarithm; 0 without one.
    pub start_log_likelihood: f64,
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
            latest: 0,
            answers: Rc::default(),
        })
    }

    /// A question in ids, with the sampler that draws its answer.
    ///
    /// # Errors
    /// Templates that refuse the messages, sampling options out of range.
    pub fn ask(&mut self, question: Question) -> Result<Command, Fault> {
        let prompt_ids = self
            .prompt_ids(&question.prompt)
            .map_err(|error| of_text(&error))?;
        let mut sampler =
            Sampler::new(question.sampling, question.seed).map_err(|error| of_text(&error))?;
        let start_ids = match &question.answer_start {
            Some(start) => self.tokenizer.encode(start, false, false),
            None => Ok(Vec::new()),
        };
        let start_ids = start_ids.map_err(|error| of_text(&error))?;
        let start_tokens = u32::try_from(start_ids.len()).unwrap_or(u32::MAX);
        let start = Rc::new(RefCell::new(Forced::new(start_ids)));
        let answer = Answer {
            start: Rc::clone(&start),
            prompt_ids: prompt_ids.clone(),
            ids: Vec::new(),
            text: String::new(),
            stream: self.tokenizer.decode_stream(),
        };
        self.latest += 1;
        let number = self.latest;
        // The session may refuse the question: it is written down with its first token.
        let mut mine = Some(answer);
        let answers = Rc::clone(&self.answers);
        Ok(Command::Generate {
            question: number,
            prompt_ids,
            max_tokens: question.max_tokens.saturating_add(start_tokens),
            stop_ids: self.tokenizer.stop_ids().to_vec(),
            next_token: Box::new(move |logits, history| {
                if let Some(answer) = mine.take() {
                    answers.borrow_mut().insert(number, answer);
                }
                let given = start.borrow_mut().next(logits);
                given.unwrap_or_else(|| sampler.next(logits, history))
            }),
        })
    }

    /// Number of what was asked last.
    pub const fn latest(&self) -> u32 {
        self.latest
    }

    /// Text that a token adds to an answer; may be empty while a character is incomplete.
    pub fn add(&self, question: u32, id: u32) -> String {
        let mut answers = self.answers.borrow_mut();
        let Some(answer) = answers.get_mut(&question) else {
            return String::new();
        };
        answer.ids.push(id);
        let piece = answer.stream.push(id);
        answer.text.push_str(&piece);
        piece
    }

    /// Ends an answer; one that ended before its first token is empty.
    pub fn finish(&self, question: u32) -> Finished {
        let Some(mut answer) = self.answers.borrow_mut().remove(&question) else {
            return Finished::default();
        };
        answer.text.push_str(&answer.stream.finish());
        Finished {
            prompt_ids: answer.prompt_ids,
            ids: answer.ids,
            text: answer.text,
            start_log_likelihood: answer.start.borrow().log_likelihood(),
        }
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
