//! What `config.json` says, as the metadata of a GGUF file.

use serde_json::Value as Json;

use crate::{error::ModelError, gguf::Value};

/// Where BLOOM's configuration does not say.
const BLOOM_CONTEXT: u64 = 2048;
/// LayerNorm's eps in OPT, which its configuration does not name.
const OPT_EPS: f64 = 1e-5;

/// `config.json`.
#[derive(Clone, Copy)]
pub struct Config<'a>(pub &'a Json);

/// Fields of a header, and frequency factors if there are any.
pub struct Fields {
    /// `general.architecture`.
    pub architecture: &'static str,
    /// Metadata without the tokenizer's.
    pub metadata: Vec<(String, Value)>,
    /// `rope_freqs.weight`.
    pub frequency_factors: Option<Vec<f32>>,
    /// Elements of a head.
    pub head_dim: u32,
    /// Whether the head is the embedding's table, whatever else the repository holds.
    pub tied: bool,
}

impl<'a> Config<'a> {
    /// `model_type`.
    pub fn model_type(self) -> Result<&'a str, ModelError> {
        let text = self.0.get("model_type").and_then(Json::as_str);
        text.ok_or_else(|| missing("model_type"))
    }

    fn get(self, key: &str) -> Option<&'a Json> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn optional(self, key: &str) -> Option<u64> {
        self.get(key)?.as_u64()
    }

    fn number(self, key: &str) -> Result<u64, ModelError> {
        self.optional(key).ok_or_else(|| missing(key))
    }

    fn float(self, key: &str) -> Option<f64> {
        self.get(key)?.as_f64()
    }

    fn flag(self, key: &str) -> Option<bool> {
        self.get(key)?.as_bool()
    }

    fn text(self, key: &str) -> Option<&'a str> {
        self.get(key)?.as_str()
    }

    fn refuse(self, what: &str) -> ModelError {
        ModelError::Architecture {
            name: format!("{} with {what}", self.model_type().unwrap_or_default()),
        }
    }

    /// The activation must be the one that the builder has.
    fn check_activation(self, key: &str, known: &[&str]) -> Result<(), ModelError> {
        match self.text(key) {
            Some(name) if !known.contains(&name) => Err(self.refuse(name)),
            _ => Ok(()),
        }
    }

    /// Everything but the tokenizer.
    pub fn fields(self) -> Result<Fields, ModelError> {
        let architecture = match self.model_type()? {
            "llama" | "mistral" => "llama",
            "qwen2" => "qwen2",
            "qwen3" => "qwen3",
            "gemma3_text" => "gemma3",
            "phi3" => "phi3",
            "gpt2" => "gpt2",
            "bloom" => "bloom",
            "opt" => "opt",
            "gptj" => "gptj",
            other => {
                let name = other.to_owned();
                return Err(ModelError::Architecture { name });
            }
        };
        let mut out = Writer {
            architecture,
            metadata: vec![
                (
                    "general.architecture".into(),
                    Value::Text(architecture.into()),
                ),
                ("general.name".into(), Value::Text(architecture.into())),
            ],
        };
        let (mut factors, head_dim) = (None, self.head_dim()?);
        match architecture {
            "gpt2" | "gptj" => self.gpt(&mut out)?,
            "bloom" => self.bloom(&mut out)?,
            "opt" => self.opt(&mut out)?,
            _ => factors = self.rms_decoder(&mut out, head_dim)?,
        }
        let tied_by_default = !matches!(architecture, "llama" | "phi3" | "gptj");
        let head_dim = u32::try_from(head_dim).map_err(|_| missing("head_dim"))?;
        Ok(Fields {
            architecture,
            metadata: out.metadata,
            frequency_factors: factors,
            head_dim,
            tied: self.flag("tie_word_embeddings").unwrap_or(tied_by_default),
        })
    }

    fn head_dim(self) -> Result<u64, ModelError> {
        let of = |keys: [&str; 3]| keys.into_iter().find_map(|key| self.optional(key));
        let hidden = of(["hidden_size", "n_embd", "n_embed"]);
        let heads = of(["num_attention_heads", "n_head", "n_heads"]);
        let divided = || hidden?.checked_div(heads?);
        let head_dim = self.optional("head_dim").or_else(divided);
        head_dim.ok_or_else(|| missing("num_attention_heads"))
    }

    fn rms_decoder(self, out: &mut Writer, head_dim: u64) -> Result<Option<Vec<f32>>, ModelError> {
        self.check_activation("hidden_act", &["silu"])?;
        self.check_activation("hidden_activation", &["gelu_pytorch_tanh"])?;
        out.number("embedding_length", self.number("hidden_size")?);
        out.number("feed_forward_length", self.number("intermediate_size")?);
        out.number("block_count", self.number("num_hidden_layers")?);
        out.number("attention.head_count", self.number("num_attention_heads")?);
        let kv_heads = self.optional("num_key_value_heads");
        let heads = self.number("num_attention_heads")?;
        out.number("attention.head_count_kv", kv_heads.unwrap_or(heads));
        out.number("attention.key_length", head_dim);
        out.number("context_length", self.number("max_position_embeddings")?);
        let eps = self
            .float("rms_norm_eps")
            .ok_or_else(|| missing("rms_norm_eps"))?;
        out.float("attention.layer_norm_rms_epsilon", eps);
        let context = self.optional("max_position_embeddings");
        let window = self.optional("sliding_window");
        let window = window.filter(|_| self.flag("use_sliding_window") != Some(false));
        match (
            out.architecture,
            window.filter(|window| Some(*window) < context),
        ) {
            (_, None) => {}
            ("gemma3" | "phi3", Some(window)) => out.number("attention.sliding_window", window),
            _ => return Err(self.refuse("a sliding window")),
        }
        if out.architecture == "gemma3" {
            return self.gemma3(out, head_dim).map(|()| None);
        }
        let rope = Config(
            self.get("rope_parameters")
                .or_else(|| self.get("rope_scaling"))
                .unwrap_or(&Json::Null),
        );
        let base = rope
            .float("rope_theta")
            .or_else(|| self.float("rope_theta"));
        out.float("rope.freq_base", base.unwrap_or(10_000.0));
        let partial = rope
            .float("partial_rotary_factor")
            .or_else(|| self.float("partial_rotary_factor"));
        let rotary_dim = (head_dim as f64 * partial.unwrap_or(1.0)) as u64;
        out.number("rope.dimension_count", rotary_dim);
        match rope.text("rope_type").or_else(|| rope.text("type")) {
            None | Some("default") => Ok(None),
            Some("linear") => {
                out.text("rope.scaling.type", "linear");
                out.float("rope.scaling.factor", rope.float("factor").unwrap_or(1.0));
                Ok(None)
            }
            Some("llama3") => llama3_factors(rope, base.unwrap_or(10_000.0), rotary_dim).map(Some),
            Some(other) => Err(self.refuse(&format!("{other} scaling of its context"))),
        }
    }

    fn gemma3(self, out: &mut Writer, head_dim: u64) -> Result<(), ModelError> {
        let capped = ["attn_logit_softcapping", "final_logit_softcapping"];
        if let Some(key) = capped.into_iter().find(|key| self.get(key).is_some()) {
            return Err(self.refuse(key));
        }
        let scalar = self.float("query_pre_attn_scalar");
        if scalar.is_some_and(|scalar| scalar != head_dim as f64) {
            return Err(self.refuse("queries scaled otherwise than by their heads' elements"));
        }
        let parameters = |kind: &str| self.get("rope_parameters")?.get(kind);
        let rope = |kind: &str| Config(parameters(kind).unwrap_or(&Json::Null));
        let (global, local) = (rope("full_attention"), rope("sliding_attention"));
        let base = global
            .float("rope_theta")
            .or_else(|| self.float("rope_theta"));
        out.float("rope.freq_base", base.unwrap_or(1_000_000.0));
        let local = local
            .float("rope_theta")
            .or_else(|| self.float("rope_local_base_freq"));
        out.float("rope.freq_base_swa", local.unwrap_or(10_000.0));
        let scaling = self.get("rope_scaling").map_or(global, Config);
        match scaling.text("rope_type").or_else(|| scaling.text("type")) {
            None | Some("default") => {}
            Some("linear") => {
                out.text("rope.scaling.type", "linear");
                out.float(
                    "rope.scaling.factor",
                    scaling.float("factor").unwrap_or(1.0),
                );
            }
            Some(other) => return Err(self.refuse(&format!("{other} scaling of its context"))),
        }
        let pattern = self.optional("sliding_window_pattern");
        let pattern = pattern.or_else(|| self.optional("_sliding_window_pattern"));
        out.number("attention.sliding_window_pattern", pattern.unwrap_or(6));
        Ok(())
    }

    fn gpt(self, out: &mut Writer) -> Result<(), ModelError> {
        self.check_activation("activation_function", &["gelu_new", "gelu_pytorch_tanh"])?;
        if self.flag("scale_attn_by_inverse_layer_idx") == Some(true) {
            return Err(self.refuse("attention scaled by layer"));
        }
        let hidden = self.number("n_embd")?;
        out.number("embedding_length", hidden);
        out.number(
            "feed_forward_length",
            self.optional("n_inner").unwrap_or(4 * hidden),
        );
        out.number("block_count", self.number("n_layer")?);
        out.number("attention.head_count", self.number("n_head")?);
        out.number("context_length", self.number("n_positions")?);
        out.float(
            "attention.layer_norm_epsilon",
            self.float("layer_norm_epsilon").unwrap_or(1e-5),
        );
        if out.architecture == "gptj" {
            out.number("rope.dimension_count", self.number("rotary_dim")?);
        }
        Ok(())
    }

    fn bloom(self, out: &mut Writer) -> Result<(), ModelError> {
        if self.flag("apply_residual_connection_post_layernorm") == Some(true) {
            return Err(self.refuse("residuals after the norm"));
        }
        let hidden = self
            .optional("hidden_size")
            .or_else(|| self.optional("n_embed"));
        let hidden = hidden.ok_or_else(|| missing("hidden_size"))?;
        let heads = self
            .optional("n_head")
            .or_else(|| self.optional("num_attention_heads"));
        out.number("embedding_length", hidden);
        out.number("feed_forward_length", 4 * hidden);
        out.number("block_count", self.number("n_layer")?);
        out.number(
            "attention.head_count",
            heads.ok_or_else(|| missing("n_head"))?,
        );
        out.number(
            "context_length",
            self.optional("seq_length").unwrap_or(BLOOM_CONTEXT),
        );
        out.float(
            "attention.layer_norm_epsilon",
            self.float("layer_norm_epsilon").unwrap_or(1e-5),
        );
        Ok(())
    }

    fn opt(self, out: &mut Writer) -> Result<(), ModelError> {
        self.check_activation("activation_function", &["relu"])?;
        let norm_first = self.flag("do_layer_norm_before") != Some(false);
        if norm_first && self.flag("_remove_final_layer_norm") == Some(true) {
            return Err(self.refuse("no final norm"));
        }
        out.number("embedding_length", self.number("hidden_size")?);
        out.number("feed_forward_length", self.number("ffn_dim")?);
        out.number("block_count", self.number("num_hidden_layers")?);
        out.number("attention.head_count", self.number("num_attention_heads")?);
        out.number("context_length", self.number("max_position_embeddings")?);
        out.float("attention.layer_norm_epsilon", OPT_EPS);
        out.flag("norm_after_add", !norm_first);
        Ok(())
    }
}

/// Divisors of the frequencies (Llama 3.1): slow ones by `factor`, fast ones by 1, those between smoothly.
fn llama3_factors(rope: Config<'_>, base: f64, rotary_dim: u64) -> Result<Vec<f32>, ModelError> {
    let field = |key: &str| rope.float(key).ok_or_else(|| missing(key));
    let (factor, low, high) = (
        field("factor")?,
        field("low_freq_factor")?,
        field("high_freq_factor")?,
    );
    let context = field("original_max_position_embeddings")?;
    let rotary_dim = u32::try_from(rotary_dim).map_err(|_| missing("head_dim"))?;
    let of_pair = |pair: u32| {
        let frequency = libm::pow(base, -2.0 * f64::from(pair) / f64::from(rotary_dim));
        let turns = context * frequency / core::f64::consts::TAU;
        if turns > high {
            1.0
        } else if turns < low {
            factor as f32
        } else {
            let smooth = (turns - low) / (high - low);
            (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
        }
    };
    Ok((0..rotary_dim / 2).map(of_pair).collect())
}

struct Writer {
    architecture: &'static str,
    metadata: Vec<(String, Value)>,
}

impl Writer {
    fn push(&mut self, key: &str, value: Value) {
        self.metadata
            .push((format!("{}.{key}", self.architecture), value));
    }

    fn number(&mut self, key: &str, number: u64) {
        self.push(key, Value::Integer(number.into()));
    }

    fn float(&mut self, key: &str, number: f64) {
        self.push(key, Value::Float(number));
    }

    fn flag(&mut self, key: &str, flag: bool) {
        self.push(key, Value::Bool(flag));
    }

    fn text(&mut self, key: &str, text: &str) {
        self.push(key, Value::Text(text.to_owned()));
    }
}

fn missing(key: &str) -> ModelError {
    ModelError::MissingField {
        key: format!("config.json: {key}"),
    }
}
