//! Model files in ranges, manifests, counts.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod server;

use std::{cell::RefCell, fs, path::Path};

use model::manifest::Manifest;
use server::{Server, TINY};
use signaling_server::{StartError, models::Shelf};

async fn reference(server: &Server) -> (String, String) {
    let models = server.get("/api/models").await.json();
    let text = |name: &str| models[0][name].as_str().unwrap().to_owned();
    (text("file"), text("manifest"))
}

#[tokio::test]
async fn models_are_listed_by_the_id_of_their_manifest() {
    let server = Server::start();
    let models = server.get("/api/models").await.json();
    assert_eq!(models.as_array().unwrap().len(), 1);
    let id = models[0]["id"].as_str().unwrap();
    assert_eq!(models[0]["file"], format!("/models/{id}/file"));
    assert_eq!(models[0]["manifest"], format!("/models/{id}/manifest"));
    assert_eq!(models[0]["file_bytes"], TINY.len());
    assert!(!models[0]["name"].as_str().unwrap().is_empty());
    let (_, manifest) = reference(&server).await;
    let manifest: Manifest = serde_json::from_slice(&server.get(&manifest).await.body).unwrap();
    assert_eq!(manifest.id(), id);
}

#[tokio::test]
async fn without_a_catalogue_it_is_empty() {
    let answer = Server::start().get("/api/catalogue").await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json(), serde_json::json!([]));
}

#[tokio::test]
async fn every_chunk_fetched_by_range_is_what_the_manifest_says() {
    let server = Server::start();
    let (file, manifest) = reference(&server).await;
    let answer = server.get(&manifest).await;
    assert_eq!(answer.header("content-type"), "application/json");
    let manifest: Manifest = serde_json::from_slice(&answer.body).unwrap();
    manifest.check().unwrap();
    assert!(manifest.chunks.len() > 10);
    for chunk in &manifest.chunks {
        let range = format!("bytes={}-{}", chunk.offset, chunk.end() - 1);
        let answer = server.get_with(&file, &[("range", &range)]).await;
        assert_eq!(answer.status, 206);
        chunk.verify(&answer.body).unwrap();
    }
}

#[tokio::test]
async fn ranges_are_byte_exact() {
    let server = Server::start();
    let (file, _) = reference(&server).await;
    let len = TINY.len();
    let last = format!("bytes={}-", len - 1);
    let beyond = format!("bytes=100-{}", len * 2);
    for (header, expected) in [
        ("bytes=0-0", 0..1),
        ("bytes=1-70000", 1..70001),
        (last.as_str(), len - 1..len),
        ("bytes=-5", len - 5..len),
        (beyond.as_str(), 100..len),
    ] {
        let answer = server.get_with(&file, &[("range", header)]).await;
        assert_eq!(answer.status, 206, "{header}");
        let named = format!("bytes {}-{}/{len}", expected.start, expected.end - 1);
        assert_eq!(answer.header("content-range"), named);
        assert_eq!(answer.header("content-length"), expected.len().to_string());
        assert!(answer.body == TINY[expected], "{header}");
    }
    let whole = server.get(&file).await;
    assert_eq!(
        (whole.status.as_u16(), whole.header("accept-ranges")),
        (200, "bytes")
    );
    assert!(whole.body == TINY);
    let outside = server
        .get_with(&file, &[("range", &format!("bytes={len}-"))])
        .await;
    assert_eq!(outside.refusal(), (416, "model.range".to_owned()));
    assert_eq!(outside.header("content-range"), format!("bytes */{len}"));
}

#[tokio::test]
async fn a_range_of_another_file_is_answered_with_this_one() {
    let server = Server::start();
    let (file, _) = reference(&server).await;
    let tag = server.get(&file).await.header("etag").to_owned();
    for (known, status) in [
        (tag.as_str(), 206),
        ("\"other\"", 200),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 200),
    ] {
        let headers = [("range", "bytes=0-9"), ("if-range", known)];
        assert_eq!(
            server.get_with(&file, &headers).await.status,
            status,
            "{known}"
        );
    }
}

#[tokio::test]
async fn bytes_are_counted_for_clients_that_give_a_name() {
    let server = Server::start();
    let (file, manifest) = reference(&server).await;
    server
        .get_with(&format!("{file}?client=A%26b"), &[("range", "bytes=0-99")])
        .await;
    server
        .get_with(
            &format!("{file}?client=A%26b"),
            &[("range", "bytes=5000-5009")],
        )
        .await;
    let manifest = server.get(&format!("{manifest}?client=B")).await;
    server.get(&file).await;
    let traffic = server.get("/api/traffic").await.json();
    assert_eq!(
        traffic,
        serde_json::json!({"A&b": 110, "B": manifest.body.len()})
    );
}

#[tokio::test]
async fn names_beyond_any_use_are_served_and_not_counted() {
    let server = Server::start();
    let (file, _) = reference(&server).await;
    let range = [("range", "bytes=0-0")];
    let long = "a".repeat(65);
    assert_eq!(
        server
            .get_with(&format!("{file}?client={long}"), &range)
            .await
            .status,
        206
    );
    for client in 0..1030 {
        server
            .get_with(&format!("{file}?client={client}"), &range)
            .await;
    }
    let traffic = server.get("/api/traffic").await.json();
    assert_eq!(traffic.as_object().unwrap().len(), 1024);
    assert!(traffic.get(&long).is_none());
}

#[tokio::test]
async fn models_that_are_not_there_are_refused() {
    let server = Server::start();
    for path in ["/models/x/file", "/models/x/manifest"] {
        assert_eq!(
            server.get(path).await.refusal(),
            (404, "model.unknown".to_owned())
        );
    }
    let (file, _) = reference(&server).await;
    fs::remove_file(server.model_file()).unwrap();
    assert_eq!(
        server.get(&file).await.refusal(),
        (500, "model.gone".to_owned())
    );
}

fn read(path: &Path) -> Result<(String, Vec<String>), StartError> {
    let said = RefCell::new(Vec::new());
    let shelf = Shelf::read(&[path.to_owned()], |line| {
        said.borrow_mut().push(line.to_owned())
    })?;
    let id = shelf.models().next().unwrap().id.clone();
    Ok((id, said.into_inner()))
}

#[test]
fn a_kept_manifest_is_used_for_the_very_file_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    let kept = folder.path().join("tiny.gguf.manifest.json");
    fs::write(&path, TINY).unwrap();
    let (id, _) = read(&path).unwrap();
    let first = fs::read_to_string(&kept).unwrap();

    // A manifest with another hash of one chunk shows whether the kept one was read.
    let hash = first.split("\"sha256\":\"").nth(1).unwrap()[..64].to_owned();
    fs::write(&kept, first.replace(&hash, &"0".repeat(64))).unwrap();
    assert_ne!(read(&path).unwrap().0, id, "the kept manifest is not read");

    let later =
        fs::metadata(&path).unwrap().modified().unwrap() + std::time::Duration::from_secs(1);
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(later)
        .unwrap();
    assert_eq!(
        read(&path).unwrap().0,
        id,
        "the file is newer than the kept manifest"
    );

    for damaged in [
        "",
        "{}",
        &first[..first.len() / 2],
        &first.replacen("\"offset\":0", "\"offset\":1", 1),
    ] {
        fs::write(&kept, damaged).unwrap();
        assert_eq!(read(&path).unwrap().0, id);
    }
}

#[test]
fn a_manifest_that_cannot_be_kept_is_a_notice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    fs::write(&path, TINY).unwrap();
    // A folder of that name refuses a file even to root.
    fs::create_dir_all(folder.path().join("tiny.gguf.manifest.json/x")).unwrap();
    let (_, said) = read(&path).unwrap();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("notice: "), "{said:?}");
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        2,
        "nothing half written stays"
    );
}

#[test]
fn files_no_phone_could_run_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = TINY
        .windows(5)
        .position(|window| window == b"llama")
        .unwrap();
    let mut other = TINY.to_vec();
    other[at..at + 5].copy_from_slice(b"mamba");
    for (contents, code) in [
        (&b"PK\x03\x04 no model"[..], "model.not_gguf"),
        (b"", "model.truncated"),
        (&TINY[..1000], "model.truncated"),
        (&TINY[..TINY.len() - 1], "model.truncated"),
        (
            b"GGUF\x03\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
            "model.corrupt",
        ),
        (&other, "model.architecture"),
    ] {
        let path = folder.path().join("file.gguf");
        fs::write(&path, contents).unwrap();
        let error = read(&path).unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains("file.gguf") && !error.remedy().is_empty());
    }
    for missing in [folder.path().join("absent.gguf"), folder.path().to_owned()] {
        assert_eq!(read(&missing).unwrap_err().code(), "model.unreadable");
    }
}
