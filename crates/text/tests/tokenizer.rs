//! Ids and text of real vocabularies.
#![cfg(not(target_arch = "wasm32"))] // reads model files
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod files;

use std::sync::LazyLock;

use serde_json::{Value, json};
use text::{TextError, Tokenizer, Vocabulary};

static SMOLLM2: LazyLock<Tokenizer> = LazyLock::new(|| Tokenizer::new(&files::smollm2()).unwrap());

/// Texts and the ids llama.cpp's tokenizer gives them.
fn recorded() -> Vec<(String, Vec<u32>)> {
    recorded_by("SmolLM2-135M-Instruct.Q4_1.gguf")
}

fn recorded_by(file: &str) -> Vec<(String, Vec<u32>)> {
    let fixture: Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/tokenizer-ids.json")).unwrap();
    let texts: Vec<String> = serde_json::from_value(fixture["strings"].clone()).unwrap();
    let ids: Vec<Vec<u32>> = serde_json::from_value(fixture["ids"][file].clone()).unwrap();
    assert_eq!(texts.len(), 24);
    texts.into_iter().zip(ids).collect()
}

#[test]
fn ids_equal_the_recorded_ones() {
    for (text, ids) in recorded() {
        assert_eq!(SMOLLM2.encode(&text, true, false).unwrap(), ids, "{text:?}");
    }
}

/// The default model's vocabulary as a Hugging Face repository would hold it.
fn smollm2_as_tokenizer_json() -> (Value, Value) {
    let vocabulary = files::smollm2();
    let is_added = |id: &usize| [3, 4].contains(&vocabulary.token_types[*id]);
    let ids = 0..vocabulary.tokens.len();
    let (added, normal): (Vec<usize>, Vec<usize>) = ids.partition(is_added);
    let token = |id: &usize| vocabulary.tokens[*id].clone();
    let special = |id: &usize| vocabulary.token_types[*id] == 3;
    let added: Vec<Value> = added
        .iter()
        .map(|id| json!({ "id": id, "content": token(id), "special": special(id) }))
        .collect();
    let vocab: serde_json::Map<String, Value> =
        normal.iter().map(|id| (token(id), json!(id))).collect();
    let pairs: Vec<Vec<&str>> = vocabulary
        .merges
        .iter()
        .map(|merge| merge.split(' ').collect())
        .collect();
    let digits = json!({ "type": "Digits", "individual_digits": true });
    let steps = json!([digits, { "type": "ByteLevel" }]);
    let tokenizer = json!({
        "added_tokens": added,
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": steps },
        "model": { "type": "BPE", "vocab": vocab, "merges": pairs },
    });
    let config = json!({
        "bos_token": "<|im_start|>",
        "eos_token": { "content": "<|im_end|>" },
        "chat_template": vocabulary.chat_template,
    });
    (tokenizer, config)
}

#[test]
fn a_hugging_face_file_gives_the_same_ids_as_a_gguf_file() {
    let (tokenizer, config) = smollm2_as_tokenizer_json();
    let vocabulary =
        Vocabulary::of_hugging_face(&tokenizer.to_string(), Some(&config.to_string())).unwrap();
    assert_eq!(vocabulary.chat_template, files::smollm2().chat_template);
    let tokenizer = Tokenizer::new(&vocabulary).unwrap();
    assert_eq!(tokenizer.stop_ids(), SMOLLM2.stop_ids());
    for (text, ids) in recorded() {
        assert_eq!(
            tokenizer.encode(&text, true, false).unwrap(),
            ids,
            "{text:?}"
        );
        assert_eq!(tokenizer.decode(&ids, false), text);
    }
}

#[test]
fn hugging_face_files_of_another_kind_are_refused() {
    let refuse = |change: &dyn Fn(&mut Value)| {
        let mut tokenizer = json!({
            "pre_tokenizer": { "type": "ByteLevel" },
            "model": { "type": "BPE", "vocab": { "a": 0 }, "merges": [] },
        });
        change(&mut tokenizer);
        Vocabulary::of_hugging_face(&tokenizer.to_string(), None).unwrap_err()
    };
    let model = refuse(&|file| file["model"]["type"] = json!("Unigram"));
    assert_eq!(model.code(), "text.model");
    let words = refuse(&|file| file["pre_tokenizer"] = json!({ "type": "Whitespace" }));
    assert_eq!(words.code(), "text.pre_tokenizer");
    let huge = refuse(&|file| file["model"]["vocab"]["b"] = json!(u32::MAX));
    assert_eq!(huge.code(), "text.vocabulary");
    let other = Vocabulary::of_hugging_face("[]", None).unwrap_err();
    assert_eq!(other.code(), "text.vocabulary");
}

#[test]
fn a_sentence_piece_model_gives_the_ids_of_its_own_library() {
    let model = include_bytes!("../../../tests/fixtures/sentence-piece/tokenizer.model");
    let expected: Value = serde_json::from_str(include_str!(
        "../../../tests/fixtures/sentence-piece/expected.json"
    ))
    .unwrap();
    let vocabulary = Vocabulary::of_sentence_piece(model, None).unwrap();
    assert_eq!(
        (vocabulary.unk, vocabulary.bos, vocabulary.eos),
        (Some(0), Some(1), Some(2))
    );
    let tokenizer = Tokenizer::new(&vocabulary).unwrap();
    let strings: Vec<String> = serde_json::from_value(expected["strings"].clone()).unwrap();
    let ids: Vec<Vec<u32>> = serde_json::from_value(expected["ids"].clone()).unwrap();
    for (text, ids) in strings.iter().zip(ids) {
        assert_eq!(
            tokenizer.encode(text, false, false).unwrap(),
            ids,
            "{text:?}"
        );
        assert_eq!(
            tokenizer.decode(&ids, false).trim_start(),
            text.trim_start()
        );
    }
    for length in 0..model.len() {
        // Cut off anywhere: an error, or fewer pieces.
        if let Ok(cut) = Vocabulary::of_sentence_piece(&model[..length], None) {
            assert!(cut.tokens.len() <= vocabulary.tokens.len());
        }
    }
}

#[test]
fn a_vocabulary_goes_into_a_gguf_header_and_comes_back() {
    let (tokenizer, config) = smollm2_as_tokenizer_json();
    let of_json =
        Vocabulary::of_hugging_face(&tokenizer.to_string(), Some(&config.to_string())).unwrap();
    for vocabulary in [files::smollm2(), of_json] {
        let header = model::gguf::write::header(&vocabulary.fields(), &[]);
        let length = Some(header.len() as u64);
        let model::gguf::Progress::Done(header) = model::gguf::parse(&header, length).unwrap()
        else {
            panic!("it ends within its header");
        };
        assert_eq!(Vocabulary::of(&header.metadata), vocabulary);
    }
}

/// Files of other families, for those who put them into `models`; their licences differ, so nothing downloads them.
#[test]
#[ignore = "long; needs model files that a person fetched"]
fn ids_of_other_families_equal_the_recorded_ones() {
    for file in [
        "gemma-3-270m-q4_k_m.gguf",
        "ggml-vocab-gpt-2.gguf",
        "ggml-vocab-llama-bpe.gguf",
        "ggml-vocab-llama-spm.gguf",
        "ggml-vocab-qwen2.gguf",
        "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    ] {
        let path = format!("models/{file}");
        let Some(vocabulary) = files::find(&path) else {
            println!("{path} is not there: nothing tested");
            continue;
        };
        let tokenizer = Tokenizer::new(&vocabulary).unwrap();
        for (text, ids) in recorded_by(file) {
            let found = tokenizer.encode(&text, true, false).unwrap();
            assert_eq!(found, ids, "{file}: {text:?}");
            assert_eq!(tokenizer.decode(&ids, false), text, "{file}");
        }
        println!("{file}: 24 texts");
    }
}

#[test]
fn ids_decode_to_the_text_they_came_from() {
    for (text, ids) in recorded() {
        assert_eq!(SMOLLM2.decode(&ids, false), text);
    }
}

#[test]
fn a_stream_shows_whole_characters_only_and_loses_nothing() {
    for (text, ids) in recorded() {
        let mut stream = SMOLLM2.decode_stream();
        let shown: Vec<String> = ids.iter().map(|&id| stream.push(id)).collect();
        assert!(
            shown.iter().all(|piece| !piece.contains('\u{FFFD}')),
            "{shown:?}"
        );
        assert_eq!(
            shown.concat() + &stream.finish(),
            SMOLLM2.decode(&ids, true),
            "{text:?}"
        );
    }
    // An emoji of several tokens appears with its last one.
    let ids = SMOLLM2.encode("\u{1F642}", false, false).unwrap();
    let mut stream = SMOLLM2.decode_stream();
    let shown: Vec<String> = ids.iter().map(|&id| stream.push(id)).collect();
    assert!(ids.len() > 1);
    assert!(shown[..ids.len() - 1].iter().all(String::is_empty));
    assert_eq!(shown[ids.len() - 1], "\u{1F642}");
}

#[test]
fn an_unfinished_character_ends_as_a_replacement() {
    let ids = SMOLLM2.encode("\u{1F642}", false, false).unwrap();
    assert_eq!(SMOLLM2.decode(&ids[..ids.len() - 1], true), "\u{FFFD}");
    assert_eq!(SMOLLM2.decode(&[u32::MAX], true), "\u{FFFD}");
}

#[test]
fn typed_text_cannot_forge_structure() {
    let typed = SMOLLM2.encode("<|im_end|>", false, false).unwrap();
    assert!(!typed.contains(&2));
    assert_eq!(SMOLLM2.decode(&typed, true), "<|im_end|>");
    assert_eq!(SMOLLM2.encode("<|im_end|>", true, false).unwrap(), [2]);
    assert_eq!(SMOLLM2.decode(&[2], true), "");
    assert_eq!(SMOLLM2.decode(&[2], false), "<|im_end|>");
}

#[test]
fn answers_end_with_the_turn_or_the_text() {
    assert_eq!(SMOLLM2.stop_ids(), [0, 2]);
}

#[test]
fn a_begin_token_is_added_once_where_the_model_wants_it() {
    let wanting = Tokenizer::new(&Vocabulary {
        add_bos: Some(true),
        ..files::tiny_llama()
    });
    let wanting = wanting.unwrap();
    assert_eq!(wanting.encode("ab", false, true).unwrap(), [1, 100, 101]);
    assert_eq!(wanting.encode("<s>ab", true, true).unwrap(), [1, 100, 101]);
    assert_eq!(wanting.encode("ab", false, false).unwrap(), [100, 101]);
    let llama3 = Vocabulary {
        pre: "llama-bpe".to_owned(),
        add_bos: None,
        ..files::tiny_llama()
    };
    assert_eq!(
        Tokenizer::new(&llama3)
            .unwrap()
            .encode("a", false, true)
            .unwrap()[0],
        1
    );
}

#[test]
fn tiny_llama_maps_bytes_and_back() {
    let tokenizer = Tokenizer::new(&files::tiny_llama()).unwrap();
    let text = "Once upon a time, \u{1F642} \u{C548}!";
    let ids = tokenizer.encode(text, false, true).unwrap();
    assert_eq!(ids.len(), text.len());
    assert_eq!(tokenizer.decode(&ids, true), text);
    assert_eq!(tokenizer.decode(&[259], true), "<t0>");
}

#[test]
fn every_known_way_of_splitting_words_compiles_and_keeps_the_text() {
    let text = "I'LL pay $1,234.56 for 99 caf\u{E9}s\u{2026}\r\n\n  \t ok?  ";
    for pre in [
        "default",
        "gpt-2",
        "smollm",
        "starcoder",
        "qwen2",
        "llama-bpe",
        "qwen35",
        "tekken",
        "gpt-4o",
        "bloom",
    ] {
        let vocabulary = Vocabulary {
            pre: pre.to_owned(),
            ..files::tiny_llama()
        };
        let tokenizer = Tokenizer::new(&vocabulary).unwrap();
        let ids = tokenizer.encode(text, false, false).unwrap();
        assert_eq!(tokenizer.decode(&ids, true), text, "{pre}");
    }
}

#[test]
fn what_is_not_known_is_an_error_not_a_guess() {
    let refuse = |change: &dyn Fn(&mut Vocabulary)| {
        let mut vocabulary = files::tiny_llama();
        change(&mut vocabulary);
        Tokenizer::new(&vocabulary).err().unwrap()
    };
    let model = refuse(&|vocabulary| vocabulary.model = "t5".to_owned());
    assert!(matches!(&model, TextError::Model { model } if model == "t5"));
    assert_eq!(model.code(), "text.model");
    let pre = refuse(&|vocabulary| vocabulary.pre = "made-up".to_owned());
    assert_eq!(pre.code(), "text.pre_tokenizer");
    let corrupt: [&dyn Fn(&mut Vocabulary); 5] = [
        // Neither merges nor scores.
        &|vocabulary| {
            vocabulary.model = "llama".to_owned();
            vocabulary.merges.clear();
        },
        &|vocabulary| vocabulary.eos = Some(512),
        &|vocabulary| vocabulary.token_types.truncate(3),
        &|vocabulary| vocabulary.merges.push("alone".to_owned()),
        &|vocabulary| (vocabulary.add_bos, vocabulary.bos) = (Some(true), None),
    ];
    for change in corrupt {
        assert_eq!(refuse(change).code(), "text.vocabulary");
    }
}
