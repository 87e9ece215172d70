//! The page's files and everybody's headers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod server;

use server::Server;

#[tokio::test]
async fn files_have_the_types_browsers_insist_on() {
    let server = Server::start();
    server.write_page("index.html", b"<!doctype html>");
    server.write_page("page.js", b"export {};");
    server.write_page("page_bg.wasm", b"\0asm");
    server.write_page("page.css", b"a{}");
    for (path, content_type) in [
        ("/", "text/html"),
        ("/index.html", "text/html"),
        ("/page.js", "text/javascript"),
        ("/page_bg.wasm", "application/wasm"),
        ("/page.css", "text/css"),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), content_type, "{path}");
        assert_eq!(answer.header("cache-control"), "no-cache");
    }
    assert_eq!(server.get("/").await.body, "<!doctype html>");
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_browser_that_has_the_file_gets_no_second_copy() {
    let server = Server::start();
    server.write_page("page.js", b"export {};");
    let tag = server.get("/page.js").await.header("etag").to_owned();
    let again = server
        .get_with("/page.js", &[("if-none-match", &tag)])
        .await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    server.write_page("page.js", b"export { };");
    let changed = server
        .get_with("/page.js", &[("if-none-match", &tag)])
        .await;
    assert_eq!(
        (changed.status.as_u16(), &changed.body[..]),
        (200, &b"export { };"[..])
    );
}

#[tokio::test]
async fn files_are_compressed_and_models_are_not() {
    let server = Server::start();
    server.write_page("page.js", &b"export {};\n".repeat(1000));
    let accepts = [("accept-encoding", "gzip")];
    let answer = server.get_with("/page.js", &accepts).await;
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert!(answer.body.starts_with(&[0x1f, 0x8b]) && answer.body.len() < 1000);
    let models = server.get("/api/models").await.json();
    let model = server
        .get_with(models[0]["file"].as_str().unwrap(), &accepts)
        .await;
    assert_eq!(model.header("content-encoding"), "");
}

#[tokio::test]
async fn every_answer_is_guarded() {
    let server = Server::start();
    server.write_page("index.html", b"<!doctype html>");
    for path in [
        "/",
        "/api/models",
        "/api/nothing",
        "/nothing",
        "/models/x/file",
    ] {
        let answer = server.get(path).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; "));
        assert!(policy.ends_with("; report-uri /api/policy-reports"));
        assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"));
        for (name, value) in [
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-embedder-policy", "require-corp"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.header(name), value, "{path}");
        }
    }
}

#[tokio::test]
async fn a_browser_that_saw_the_policy_broken_is_heard() {
    let server = Server::start();
    let report = r#"{"csp-report": {"document-uri": "http://box/", "violated-directive": "script-src", "effective-directive": "script-src"}}"#;
    let answer = server
        .post_text("/api/policy-reports", report.to_owned())
        .await;
    assert_eq!(answer.status, 204);
    let answer = server
        .post_text("/api/policy-reports", "{}".to_owned())
        .await;
    assert_eq!(answer.refusal(), (400, "request.malformed".to_owned()));
    assert_eq!(server.get("/api/policy-reports").await.json(), 1);
}
