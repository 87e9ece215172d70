//! What an embedding page gives: constructor options, a model, a request for text.

use model::{WireDtype, manifest::Hash};
use serde::{Deserialize, Serialize};
use session::ModelReference;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Blob;

use super::kept;
use crate::{
    capability::{self, DEFAULT_BUDGET_BYTES},
    error::BrowserError,
    messages::{EngineChoice, HostedModel, Offer, Prompt, Question},
    value,
};

/// Static KV columns unless the page says otherwise.
const DEFAULT_CONTEXT_COLUMNS: u32 = 1024;
/// Tokens of an answer unless the page says otherwise.
const DEFAULT_MAX_TOKENS: u32 = 256;
/// Where models may come from besides this server, unless the page says otherwise.
const DEFAULT_MODEL_ORIGINS: [&str; 1] = ["https://huggingface.co"];
/// Longest name others are shown.
const MAX_NAME_CHARS: usize = 40;

/// Options of `new Phone(...)`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PhoneOptions {
    name: String,
    #[serde(default)]
    engine: EngineChoice,
    budget_bytes: Option<u64>,
    save_data: Option<bool>,
    client: Option<String>,
    model_origins: Option<Vec<String>>,
    /// Address of the worker script; beside the module's script unless given.
    pub worker_url: Option<String>,
    context_columns: Option<u32>,
    #[serde(default)]
    wire: Wire,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wire {
    F32,
    #[default]
    F16,
}

impl PhoneOptions {
    /// What this page offers to a room.
    pub fn offer(&self) -> Offer {
        Offer {
            name: self.name.trim().chars().take(MAX_NAME_CHARS).collect(),
            engine: self.engine,
            budget_bytes: self.budget_bytes.unwrap_or(DEFAULT_BUDGET_BYTES),
            metered: self.save_data.unwrap_or_else(capability::is_metered),
            client: self.client.clone(),
            model_origins: self
                .model_origins
                .clone()
                .unwrap_or_else(|| DEFAULT_MODEL_ORIGINS.map(str::to_owned).to_vec()),
            tab: kept::tab(),
        }
    }

    /// Residual stream between phones.
    pub const fn wire(&self) -> WireDtype {
        match self.wire {
            Wire::F32 => WireDtype::F32,
            Wire::F16 => WireDtype::F16Scaled,
        }
    }

    /// Static KV columns.
    pub fn context_columns(&self) -> u32 {
        self.context_columns.unwrap_or(DEFAULT_CONTEXT_COLUMNS)
    }
}

/// Argument of `host`, if it is no file.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Model {
    Known(ModelReference),
    Address {
        address: String,
        sha256: Option<Hash>,
    },
}

/// A model that a page wants to start a room with, and the file, if it is one.
///
/// # Errors
/// Neither a file, nor a reference, nor an address.
pub fn hosted(model: JsValue) -> Result<(HostedModel, Option<Blob>), BrowserError> {
    match model.dyn_into::<Blob>() {
        Ok(file) => Ok((HostedModel::File, Some(file))),
        Err(other) => {
            let model = match value::from_js(other)? {
                Model::Known(reference) => HostedModel::Known(reference),
                Model::Address { address, sha256 } => HostedModel::Address { address, sha256 },
            };
            Ok((model, None))
        }
    }
}

/// Argument of `generate`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    prompt: Option<String>,
    messages: Option<Vec<text::Message>>,
    answer_start: Option<String>,
    max_tokens: Option<u32>,
    temperature: Option<f32>,
    top_k: Option<u32>,
    top_p: Option<f32>,
    min_p: Option<f32>,
    repeat_penalty: Option<f32>,
    seed: Option<u64>,
}

impl Request {
    /// The question in it.
    ///
    /// # Errors
    /// Neither or both of prompt and messages.
    pub fn question(self) -> Result<Question, BrowserError> {
        let prompt = match (self.prompt, self.messages) {
            (Some(text), None) => Prompt::Text(text),
            (None, Some(messages)) => Prompt::Messages(messages),
            _ => {
                return Err(BrowserError::Options {
                    detail: "generate takes either a prompt or messages".to_owned(),
                });
            }
        };
        let default = text::Sampling::default();
        let sampling = text::Sampling {
            temperature: self.temperature.unwrap_or(default.temperature),
            top_k: self.top_k.unwrap_or(default.top_k),
            top_p: self.top_p.unwrap_or(default.top_p),
            min_p: self.min_p.unwrap_or(default.min_p),
            repeat_penalty: self.repeat_penalty.unwrap_or(default.repeat_penalty),
            ..default
        };
        let seed = self
            .seed
            .unwrap_or_else(|| (js_sys::Math::random() * f64::from(u32::MAX)) as u64);
        Ok(Question {
            prompt,
            answer_start: self.answer_start,
            max_tokens: self.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
            sampling,
            seed,
        })
    }
}
