//! Chat templates, the default model's and what others use.
#![cfg(not(target_arch = "wasm32"))] // reads model files
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod files;

use text::{ChatTemplate, Message, TextError, Tokenizer, Vocabulary};

fn message(role: &str, content: &str) -> Message {
    Message {
        role: role.to_owned(),
        content: content.to_owned(),
    }
}

fn template(source: &str) -> Result<ChatTemplate, TextError> {
    ChatTemplate::new(&Vocabulary {
        tokens: vec!["<s>".to_owned(), "</s>".to_owned()],
        bos: Some(0),
        eos: Some(1),
        chat_template: Some(source.to_owned()),
        ..Vocabulary::default()
    })
}

fn render(source: &str) -> Result<String, TextError> {
    template(source)?.render(&[message("user", " Hi ")], true)
}

#[test]
fn smollm2_gets_its_system_prompt_and_an_open_turn() {
    let vocabulary = files::smollm2();
    let prompt = ChatTemplate::new(&vocabulary)
        .unwrap()
        .render(&[message("user", "Hi")], true)
        .unwrap();
    let system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face";
    assert_eq!(
        prompt,
        format!(
            "<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
        )
    );
    let ids = Tokenizer::new(&vocabulary)
        .unwrap()
        .encode(&prompt, true, true)
        .unwrap();
    assert_eq!(ids.iter().filter(|&&id| id == 1).count(), 3);
    assert_eq!(ids.iter().filter(|&&id| id == 2).count(), 2);
}

#[test]
fn templates_find_what_hugging_face_gives_them() {
    let rendered = render(
        "{% for message in messages %}\n    {{ bos_token + message['content'].strip() }}\n{% endfor %}\n{{ eos_token }}",
    );
    assert_eq!(rendered.unwrap(), "    <s>Hi\n</s>");
    let loops = render(
        "{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}{{ messages | tojson }}",
    );
    assert_eq!(loops.unwrap(), r#"01[{"role": "user", "content": " Hi "}]"#);
}

#[test]
fn a_refusing_template_says_why() {
    let refused = render("{{ raise_exception('roles must alternate') }}").unwrap_err();
    assert_eq!(refused.code(), "text.chat_template");
    assert!(
        refused.to_string().contains("roles must alternate"),
        "{refused}"
    );
    assert!(
        render("{{ strftime_now('%d') }}")
            .unwrap_err()
            .to_string()
            .contains("date")
    );
}

#[test]
fn broken_endless_and_absent_templates_are_errors() {
    assert_eq!(
        template("{% if %}").err().unwrap().code(),
        "text.chat_template"
    );
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}";
    assert_eq!(render(endless).unwrap_err().code(), "text.chat_template");
    assert_eq!(
        ChatTemplate::new(&files::tiny_llama()).err().unwrap(),
        TextError::NoChatTemplate
    );
}
