//! How text is split into words before BPE: regular expressions per `tokenizer.ggml.pre`, applied one after another.
//!
//! The names and expressions are those of llama.cpp's `src/llama-vocab.cpp`, which defines the field.

use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;

use crate::error::TextError;

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)";
const LLAMA3: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN35: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const BLOOM: &str = r" ?[^(\s|.,!?\u{2026}\u{3002}\u{FF0C}\u{3001}\u{964}\u{6D4}\u{60C})]+";
const ONE_DIGIT: &str = r"\p{N}";
const DEFAULT: &[&str] = &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"];

/// What a pre-tokenizer's family does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Family {
    expressions: &'static [&'static str],
    /// A word that is a token is not built by merges.
    pub whole_words_first: bool,
    /// Whether a prompt starts with the begin-of-sequence token when the file does not say.
    pub adds_bos: bool,
}

/// The family of a `tokenizer.ggml.pre`.
pub(crate) fn family(pre: &str) -> Result<Family, TextError> {
    let plain = |expressions| Family {
        expressions,
        whole_words_first: false,
        adds_bos: false,
    };
    match pre {
        "default" => Ok(plain(DEFAULT)),
        "gpt-2" | "phi-2" | "jina-es" | "jina-de" | "gigachat" | "jina-v2-es" | "jina-v2-de"
        | "a.x-4.0" | "mellum" | "mpt" | "olmo" => Ok(plain(&[GPT2])),
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" => {
            Ok(plain(&[ONE_DIGIT, GPT2]))
        }
        "bloom" | "poro-chat" | "gpt3-finnish" => Ok(plain(&[BLOOM])),
        "gpt-4o" | "llama4" => Ok(plain(&[GPT4O])),
        "dbrx" | "smaug-bpe" => Ok(plain(&[LLAMA3])),
        "qwen35" => Ok(plain(&[QWEN35])),
        "tekken" => Ok(Family {
            expressions: &[TEKKEN],
            whole_words_first: true,
            adds_bos: true,
        }),
        "qwen2" | "stablelm2" | "deepseek-r1-qwen" => Ok(plain(&[QWEN2])),
        "llama3" | "llama-v3" | "llama-bpe" => Ok(Family {
            expressions: &[LLAMA3],
            whole_words_first: true,
            adds_bos: true,
        }),
        _ => Err(TextError::PreTokenizer {
            pre: pre.to_owned(),
        }),
    }
}

/// The family whose `tokenizer.json` splits with this expression: those of a GGUF file were rewritten for another engine.
pub(crate) fn named(expression: &str) -> Option<&'static str> {
    const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    const BLOOM: &str = " ?[^(\\s|[.,!?\u{2026}\u{3002}\u{FF0C}\u{3001}\u{964}\u{6D4}\u{60C}])]+";
    match expression {
        QWEN2 => Some("qwen2"),
        QWEN35 => Some("qwen35"),
        LLAMA3 => Some("llama-bpe"),
        BLOOM => Some("bloom"),
        TEKKEN => Some("tekken"),
        GPT4O => Some("gpt-4o"),
        _ => None,
    }
}

impl Family {
    /// Splitters in the order they apply; what no expression matches stays a word of its own.
    pub fn splits(&self) -> Result<Vec<Split>, TextError> {
        let split = |expression: &&str| {
            let pattern = SplitPattern::Regex((*expression).to_owned());
            Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(|error| {
                TextError::Encode {
                    detail: error.to_string(),
                }
            })
        };
        self.expressions.iter().map(split).collect()
    }
}

#[cfg(test)]
mod tests {
    use tokenizers::tokenizer::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn words(pre: &str, text: &str) -> Vec<String> {
        let mut words = PreTokenizedString::from(text);
        for split in family(pre).unwrap().splits().unwrap() {
            split.pre_tokenize(&mut words).unwrap();
        }
        let splits = words.get_splits(OffsetReferential::Original, OffsetType::None);
        splits
            .into_iter()
            .map(|(word, _, _)| word.to_owned())
            .collect()
    }

    #[test]
    fn families_differ_in_digits_punctuation_and_space() {
        let text = "It's  1234 caf\u{E9}s!\n\n ok";
        let expected: [(&str, &[&str]); 5] = [
            (
                "gpt-2",
                &["It", "'s", " ", " 1234", " caf\u{E9}s", "!", "\n\n", " ok"],
            ),
            (
                "smollm",
                &[
                    "It",
                    "'s",
                    "  ",
                    "1",
                    "2",
                    "3",
                    "4",
                    " caf\u{E9}s",
                    "!",
                    "\n\n",
                    " ok",
                ],
            ),
            (
                "llama-bpe",
                &[
                    "It",
                    "'s",
                    " ",
                    " ",
                    "123",
                    "4",
                    " caf\u{E9}s",
                    "!\n\n",
                    " ok",
                ],
            ),
            (
                "qwen2",
                &[
                    "It",
                    "'s",
                    " ",
                    " ",
                    "1",
                    "2",
                    "3",
                    "4",
                    " caf\u{E9}s",
                    "!\n\n",
                    " ok",
                ],
            ),
            (
                "default",
                &[
                    "It",
                    "'",
                    "s",
                    " ",
                    " ",
                    "123",
                    "4",
                    " caf\u{E9}s",
                    "!",
                    "\n\n",
                    " ok",
                ],
            ),
        ];
        for (pre, expected) in expected {
            assert_eq!(words(pre, text), expected, "{pre}");
        }
    }
}
