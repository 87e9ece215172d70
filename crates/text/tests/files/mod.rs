//! Vocabularies of the model files tests use.

use std::collections::BTreeMap;
use std::path::Path;

use text::Vocabulary;

pub fn smollm2() -> Vocabulary {
    read("models/SmolLM2-135M-Instruct.Q4_1.gguf")
}

pub fn tiny_llama() -> Vocabulary {
    read("tests/fixtures/tiny-llama/model-f32.gguf")
}

enum Field {
    Number(u64),
    Text(String),
    Texts(Vec<String>),
    Numbers(Vec<u64>),
}

fn read(path: &str) -> Vocabulary {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path);
    let file = std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; ./test downloads it", path.display()));
    let mut bytes = &file[16..];
    let fields: BTreeMap<String, Field> = (0..take(&mut bytes, 8))
        .map(|_| (text(&mut bytes), field(&mut bytes)))
        .collect();
    let of = |key: &str| fields.get(key);
    let string = |key: &str| {
        of(key).map(|field| {
            if let Field::Text(text) = field {
                text.clone()
            } else {
                panic!("{key}")
            }
        })
    };
    let strings = |key: &str| {
        if let Some(Field::Texts(texts)) = of(key) {
            texts.clone()
        } else {
            panic!("{key}")
        }
    };
    let number = |key: &str| {
        of(key).map(|field| {
            if let Field::Number(number) = field {
                *number as u32
            } else {
                panic!("{key}")
            }
        })
    };
    let Some(Field::Numbers(types)) = of("tokenizer.ggml.token_type") else {
        panic!("token types")
    };
    Vocabulary {
        model: string("tokenizer.ggml.model").unwrap(),
        pre: string("tokenizer.ggml.pre").unwrap(),
        tokens: strings("tokenizer.ggml.tokens"),
        merges: strings("tokenizer.ggml.merges"),
        token_types: types.iter().map(|&number| number as i32).collect(),
        bos: number("tokenizer.ggml.bos_token_id"),
        eos: number("tokenizer.ggml.eos_token_id"),
        unk: number("tokenizer.ggml.unknown_token_id"),
        add_bos: number("tokenizer.ggml.add_bos_token").map(|flag| flag == 1),
        chat_template: string("tokenizer.chat_template"),
    }
}

fn take(bytes: &mut &[u8], count: usize) -> u64 {
    let (number, rest) = bytes.split_at(count);
    *bytes = rest;
    number
        .iter()
        .rev()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

fn text(bytes: &mut &[u8]) -> String {
    let length = take(bytes, 8) as usize;
    let (text, rest) = bytes.split_at(length);
    *bytes = rest;
    String::from_utf8(text.to_vec()).unwrap()
}

fn field(bytes: &mut &[u8]) -> Field {
    let kind = take(bytes, 4);
    match kind {
        8 => Field::Text(text(bytes)),
        9 => match (take(bytes, 4), take(bytes, 8)) {
            (8, count) => Field::Texts((0..count).map(|_| text(bytes)).collect()),
            (kind, count) => Field::Numbers((0..count).map(|_| take(bytes, size(kind))).collect()),
        },
        _ => Field::Number(take(bytes, size(kind))),
    }
}

fn size(kind: u64) -> usize {
    [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8][kind as usize]
}
