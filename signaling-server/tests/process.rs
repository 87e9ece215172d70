//! The program itself: its one line, its errors, its end.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod program;

use std::{
    fs,
    io::Read,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use program::{Running, failure};

const TINY: &[u8] = include_bytes!("../../tests/fixtures/tiny-llama/model-f32.gguf");

fn written(folder: &Path, contents: &[u8]) -> String {
    let path = folder.join("model.gguf");
    fs::write(&path, contents).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn it_serves_models_on_the_port_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let model = written(folder.path(), TINY);
    let server = Running::start(&["--model", &model, "--port", "0"]);
    assert!(
        server
            .ask("GET /healthz HTTP/1.1")
            .starts_with("HTTP/1.1 200")
    );
    assert!(
        server
            .ask("GET /api/models HTTP/1.1")
            .contains(&format!("\"file_bytes\":{}", TINY.len()))
    );
}

#[test]
fn a_port_in_use_is_named_with_its_remedy() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let said = failure(&["--port", &port]);
    assert!(said.starts_with("error[server.port_in_use]: "), "{said}");
    assert!(
        said.contains(&port) && said.contains("\n  Stop the other program"),
        "{said}"
    );
}

#[test]
fn a_model_that_cannot_be_served_is_named_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let truncated = written(folder.path(), &TINY[..TINY.len() / 2]);
    let said = failure(&["--port", "0", "--model", &truncated]);
    assert!(said.contains("error[model.truncated]: "), "{said}");
    assert!(
        said.contains("model.gguf") && said.ends_with("\n  Download the model file again.\n"),
        "{said}"
    );
    let said = failure(&["--port", "0", "--model", "absent.gguf"]);
    assert!(said.contains("error[model.unreadable]: "), "{said}");
}

#[test]
fn pages_hear_of_the_catalogue_and_may_fetch_from_its_sites() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("catalogue.json");
    let address = "https://models.example/a/b.gguf";
    let catalogue = serde_json::json!({
        "redirects": ["https://*.store.example"],
        "models": [{ "name": "a", "address": address, "file_bytes": 7, "licence": "MIT" }]
    });
    fs::write(&file, catalogue.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let origin = "https://other.example";
    let server = Running::start(&["--port", "0", "--catalogue", file, "--model-origin", origin]);
    let answer = server.ask("GET /api/catalogue HTTP/1.1");
    assert!(answer.contains(address), "{answer}");
    let sites =
        "connect-src 'self' https://other.example https://*.store.example https://models.example;";
    assert!(answer.contains(sites), "{answer}");

    let said = failure(&["--port", "0", "--catalogue", "absent.json"]);
    assert!(said.contains("error[catalogue.unreadable]: "), "{said}");
    fs::write(file, "[]").unwrap();
    let said = failure(&["--port", "0", "--catalogue", file]);
    assert!(said.contains("error[catalogue.malformed]: "), "{said}");
}

#[test]
fn it_ends_with_whoever_started_it() {
    let mut program = program::program(&["--port", "0", "--stop-with-stdin"]);
    let mut child = program.stdin(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(child.try_wait().unwrap(), None);
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
#[test]
fn it_ends_in_good_order_while_a_page_listens() {
    let mut server = Running::start(&["--port", "0"]);
    let created = "POST /api/rooms HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\
                   host: a\r\nconnection: close\r\n\r\n{}";
    let mut answer = String::new();
    server.send(created).read_to_string(&mut answer).unwrap();
    let ticket: serde_json::Value =
        serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let text = |name: &str| ticket[name].as_str().unwrap();
    let events = format!(
        "GET /api/rooms/{}/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer host.{}\r\n\r\n",
        text("room"),
        text("key")
    );
    let mut events = server.send(&events);
    events.read_exact(&mut [0; 15]).unwrap();

    let told = Instant::now();
    let pid = server.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(5));
    let mut said = String::new();
    server
        .child
        .stderr
        .as_mut()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(!said.contains(text("key")), "a key was logged");
}
