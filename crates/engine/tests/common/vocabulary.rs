//! The vocabulary of a model file.

use model::gguf::Metadata;
use text::Vocabulary;

pub fn vocabulary(metadata: &Metadata) -> Vocabulary {
    let text = |key: &str| metadata.str(key).map(str::to_owned);
    let texts = |key: &str| metadata.str_array(key).unwrap_or_default().to_vec();
    let id = |key: &str| metadata.u32(&format!("tokenizer.ggml.{key}_token_id"));
    Vocabulary {
        model: text("tokenizer.ggml.model").unwrap(),
        pre: text("tokenizer.ggml.pre").unwrap(),
        tokens: texts("tokenizer.ggml.tokens"),
        merges: texts("tokenizer.ggml.merges"),
        token_types: metadata
            .i32_array("tokenizer.ggml.token_type")
            .unwrap_or_default()
            .to_vec(),
        bos: id("bos"),
        eos: id("eos"),
        unk: id("unknown"),
        add_bos: metadata.bool("tokenizer.ggml.add_bos_token"),
        chat_template: text("tokenizer.chat_template"),
    }
}
