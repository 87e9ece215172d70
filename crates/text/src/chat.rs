//! Chat templates: the Jinja text in a model file that turns messages into a prompt.
//!
//! The environment is what Hugging Face's `apply_chat_template` gives a template: `trim_blocks`, `lstrip_blocks`, loop controls, Python's
//! string methods, `raise_exception`. There is no clock here, so `strftime_now` is refused.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, Value, context};
use serde::{Deserialize, Serialize};

use crate::error::TextError;
use crate::vocabulary::Vocabulary;

/// Instructions a template may take; real ones take thousands. A template comes with the model file and might loop forever.
const FUEL: u64 = 10_000_000;
/// Nesting a template may reach; a phone's wasm stack is a megabyte.
const NESTING: usize = 100;
const NAME: &str = "chat";

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// "system", "user", "assistant", or what the template knows besides.
    pub role: String,
    /// What was said.
    pub content: String,
}

/// A model's chat template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    bos_token: String,
    eos_token: String,
}

impl ChatTemplate {
    /// Compiles the template of a model file.
    pub fn new(vocabulary: &Vocabulary) -> Result<Self, TextError> {
        let source = vocabulary
            .chat_template
            .clone()
            .ok_or(TextError::NoChatTemplate)?;
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        environment.set_syntax(syntax.map_err(|error| failed(&error))?);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(NESTING);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment
            .add_template_owned(NAME, source)
            .map_err(|error| failed(&error))?;
        Ok(Self {
            environment,
            bos_token: vocabulary
                .token(vocabulary.bos)
                .unwrap_or_default()
                .to_owned(),
            eos_token: vocabulary
                .token(vocabulary.eos)
                .unwrap_or_default()
                .to_owned(),
        })
    }

    /// The prompt for these messages; `add_generation_prompt` opens the assistant's turn. Encode it with `parse_special`.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, TextError> {
        let template = self
            .environment
            .get_template(NAME)
            .map_err(|error| failed(&error))?;
        let rendered = template.render(context! {
            messages => messages.iter().map(value_of).collect::<Vec<_>>(),
            add_generation_prompt,
            bos_token => self.bos_token.as_str(),
            eos_token => self.eos_token.as_str(),
        });
        rendered.map_err(|error| failed(&error))
    }
}

fn value_of(message: &Message) -> Value {
    Value::from_pairs([
        ("role", message.role.as_str()),
        ("content", message.content.as_str()),
    ])
}

fn raise_exception(message: String) -> Result<String, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
}

fn strftime_now(_format: String) -> Result<String, minijinja::Error> {
    let refusal = "it asks for today's date, which is not given to templates";
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, refusal))
}

fn failed(error: &minijinja::Error) -> TextError {
    TextError::ChatTemplate {
        detail: error.to_string(),
    }
}
