//! Where the tensors of a GGUF file are in a Hugging Face repository, for each `model_type`.

use super::recipe::Change::{
    self, GainFromZero, HeadsInterleaved, QkvInterleaved, Same, Transposed,
};

/// Tensors of one `model_type`: (name in GGUF, name in the repository, what is changed on the way). `.weight` is left out where both
/// names end so, and a `.bias` goes with it.
pub struct Names {
    /// Once per model.
    pub once: &'static [(&'static str, &'static str, Change)],
    /// Once per block, after `blk.N.` and after `block` with N in it.
    pub per_block: &'static [(&'static str, &'static str, Change)],
    /// Name of a block; `#` is its number.
    pub block: &'static str,
    /// In front of all names but that of the head; some repositories leave it out.
    pub prefix: &'static str,
}

/// The names of a `model_type`.
pub fn of(model_type: &str) -> Option<&'static Names> {
    match model_type {
        "llama" | "mistral" => Some(&LLAMA),
        "qwen2" => Some(&QWEN2),
        "qwen3" => Some(&QWEN3),
        "gemma3_text" => Some(&GEMMA3),
        "phi3" => Some(&PHI3),
        "gpt2" => Some(&GPT2),
        "bloom" => Some(&BLOOM),
        "opt" => Some(&OPT),
        "gptj" => Some(&GPTJ),
        _ => None,
    }
}

const LLAMA_ONCE: &[(&str, &str, Change)] = &[
    ("token_embd", "embed_tokens", Same),
    ("output_norm", "norm", Same),
    ("output", "lm_head", Same),
];

/// llama.cpp rotates neighbours, the repositories halves.
const LLAMA: Names = Names {
    once: LLAMA_ONCE,
    per_block: &[
        ("attn_norm", "input_layernorm", Same),
        ("attn_q", "self_attn.q_proj", HeadsInterleaved),
        ("attn_k", "self_attn.k_proj", HeadsInterleaved),
        ("attn_v", "self_attn.v_proj", Same),
        ("attn_output", "self_attn.o_proj", Same),
        ("ffn_norm", "post_attention_layernorm", Same),
        ("ffn_gate", "mlp.gate_proj", Same),
        ("ffn_up", "mlp.up_proj", Same),
        ("ffn_down", "mlp.down_proj", Same),
    ],
    block: "layers.#.",
    prefix: "model.",
};

const QWEN2: Names = Names {
    per_block: &[
        ("attn_norm", "input_layernorm", Same),
        ("attn_q", "self_attn.q_proj", Same),
        ("attn_k", "self_attn.k_proj", Same),
        ("attn_v", "self_attn.v_proj", Same),
        ("attn_output", "self_attn.o_proj", Same),
        ("ffn_norm", "post_attention_layernorm", Same),
        ("ffn_gate", "mlp.gate_proj", Same),
        ("ffn_up", "mlp.up_proj", Same),
        ("ffn_down", "mlp.down_proj", Same),
    ],
    ..LLAMA
};

const QWEN3: Names = Names {
    per_block: &[
        ("attn_norm", "input_layernorm", Same),
        ("attn_q", "self_attn.q_proj", Same),
        ("attn_k", "self_attn.k_proj", Same),
        ("attn_v", "self_attn.v_proj", Same),
        ("attn_q_norm", "self_attn.q_norm", Same),
        ("attn_k_norm", "self_attn.k_norm", Same),
        ("attn_output", "self_attn.o_proj", Same),
        ("ffn_norm", "post_attention_layernorm", Same),
        ("ffn_gate", "mlp.gate_proj", Same),
        ("ffn_up", "mlp.up_proj", Same),
        ("ffn_down", "mlp.down_proj", Same),
    ],
    ..LLAMA
};

/// Its gains count from 1.
const GEMMA3: Names = Names {
    once: &[
        ("token_embd", "embed_tokens", Same),
        ("output_norm", "norm", GainFromZero),
        ("output", "lm_head", Same),
    ],
    per_block: &[
        ("attn_norm", "input_layernorm", GainFromZero),
        ("attn_q", "self_attn.q_proj", Same),
        ("attn_k", "self_attn.k_proj", Same),
        ("attn_v", "self_attn.v_proj", Same),
        ("attn_q_norm", "self_attn.q_norm", GainFromZero),
        ("attn_k_norm", "self_attn.k_norm", GainFromZero),
        ("attn_output", "self_attn.o_proj", Same),
        (
            "post_attention_norm",
            "post_attention_layernorm",
            GainFromZero,
        ),
        ("ffn_norm", "pre_feedforward_layernorm", GainFromZero),
        ("ffn_gate", "mlp.gate_proj", Same),
        ("ffn_up", "mlp.up_proj", Same),
        ("ffn_down", "mlp.down_proj", Same),
        ("post_ffw_norm", "post_feedforward_layernorm", GainFromZero),
    ],
    ..LLAMA
};

const PHI3: Names = Names {
    per_block: &[
        ("attn_norm", "input_layernorm", Same),
        ("attn_qkv", "self_attn.qkv_proj", Same),
        ("attn_output", "self_attn.o_proj", Same),
        ("ffn_norm", "post_attention_layernorm", Same),
        ("ffn_up", "mlp.gate_up_proj", Same),
        ("ffn_down", "mlp.down_proj", Same),
    ],
    ..LLAMA
};

/// Its matrices map columns to rows.
const GPT2: Names = Names {
    once: &[
        ("token_embd", "wte", Same),
        ("position_embd", "wpe", Same),
        ("output_norm", "ln_f", Same),
        ("output", "lm_head", Same),
    ],
    per_block: &[
        ("attn_norm", "ln_1", Same),
        ("attn_qkv", "attn.c_attn", Transposed),
        ("attn_output", "attn.c_proj", Transposed),
        ("ffn_norm", "ln_2", Same),
        ("ffn_up", "mlp.c_fc", Transposed),
        ("ffn_down", "mlp.c_proj", Transposed),
    ],
    block: "h.#.",
    prefix: "transformer.",
};

const BLOOM: Names = Names {
    once: &[
        ("token_embd", "word_embeddings", Same),
        ("token_embd_norm", "word_embeddings_layernorm", Same),
        ("output_norm", "ln_f", Same),
        ("output", "lm_head", Same),
    ],
    per_block: &[
        ("attn_norm", "input_layernorm", Same),
        ("attn_qkv", "self_attention.query_key_value", QkvInterleaved),
        ("attn_output", "self_attention.dense", Same),
        ("ffn_norm", "post_attention_layernorm", Same),
        ("ffn_up", "mlp.dense_h_to_4h", Same),
        ("ffn_down", "mlp.dense_4h_to_h", Same),
    ],
    ..GPT2
};

const OPT: Names = Names {
    once: &[
        ("token_embd", "embed_tokens", Same),
        ("position_embd", "embed_positions", Same),
        ("embd_in", "project_in", Same),
        ("embd_out", "project_out", Same),
        ("output_norm", "final_layer_norm", Same),
        ("output", "lm_head", Same),
    ],
    per_block: &[
        ("attn_q", "self_attn.q_proj", Same),
        ("attn_k", "self_attn.k_proj", Same),
        ("attn_v", "self_attn.v_proj", Same),
        ("attn_output", "self_attn.out_proj", Same),
        ("attn_norm", "self_attn_layer_norm", Same),
        ("ffn_up", "fc1", Same),
        ("ffn_down", "fc2", Same),
        ("ffn_norm", "final_layer_norm", Same),
    ],
    block: "layers.#.",
    prefix: "model.decoder.",
};

const GPTJ: Names = Names {
    once: &[
        ("token_embd", "wte", Same),
        ("output_norm", "ln_f", Same),
        ("output", "lm_head", Same),
    ],
    per_block: &[
        ("attn_norm", "ln_1", Same),
        ("attn_q", "attn.q_proj", Same),
        ("attn_k", "attn.k_proj", Same),
        ("attn_v", "attn.v_proj", Same),
        ("attn_output", "attn.out_proj", Same),
        ("ffn_up", "mlp.fc_in", Same),
        ("ffn_down", "mlp.fc_out", Same),
    ],
    ..GPT2
};
