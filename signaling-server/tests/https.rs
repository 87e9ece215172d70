//! https: certificates made and given.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod program;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use program::{Running, failure};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

const REQUEST: &str = "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// Asks over TLS 1.3, trusting `certificate` alone; `None` where the handshake fails.
fn ask(address: &str, name: &str, certificate: &Path) -> Option<String> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(certificate).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(address).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut stream = StreamOwned::new(client, socket);
    let mut answer = String::new();
    stream.write_all(REQUEST.as_bytes()).ok()?;
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn is_well(answer: Option<String>) -> bool {
    answer.is_some_and(|answer| answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n"))
}

fn local(server: &Running) -> String {
    let port = server.https[0].rsplit_once(':').unwrap().1;
    format!("127.0.0.1:{port}")
}

/// A server with a certificate made in `folder`.
fn made(folder: &Path) -> (Running, PathBuf) {
    let arguments = ["--port", "0", "--https-port", "0", "--certificates"];
    let arguments = [&arguments[..], &[folder.to_str().unwrap()]].concat();
    (Running::start(&arguments), folder.join("made.pem"))
}

#[test]
fn the_made_certificate_is_good_for_every_way_in() {
    let folder = tempfile::tempdir().unwrap();
    let (server, certificate) = made(folder.path());
    for name in ["localhost", "127.0.0.1", "::1"] {
        assert!(is_well(ask(&local(&server), name, &certificate)), "{name}");
    }
    for way in &server.https {
        let name = way.rsplit_once(':').unwrap().0;
        assert!(is_well(ask(way, name, &certificate)), "{way}");
    }
    assert_eq!(ask(&local(&server), "other.example", &certificate), None);
}

#[test]
fn the_made_certificate_is_kept_between_starts() {
    let folder = tempfile::tempdir().unwrap();
    let read = |(server, certificate): (Running, PathBuf)| {
        drop(server);
        fs::read(certificate).unwrap()
    };
    assert_eq!(read(made(folder.path())), read(made(folder.path())));
}

#[test]
fn a_certificate_of_ones_own_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let (_, certificate) = made(folder.path());
    let own = folder.path().join("own.pem");
    fs::copy(&certificate, &own).unwrap();
    let key = folder.path().join("own.key");
    fs::rename(folder.path().join("made.key"), &key).unwrap();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let server = Running::start(&[
        "--port",
        "0",
        "--https-port",
        "0",
        "--cert",
        &path(&own),
        "--key",
        &path(&key),
    ]);
    assert!(is_well(ask(&local(&server), "localhost", &own)));

    let other = tempfile::tempdir().unwrap();
    made(other.path());
    let foreign = path(&other.path().join("made.key"));
    let text = path(&folder.path().join("text"));
    fs::write(&text, "no certificate").unwrap();
    for (cert, key, code) in [
        (path(&own), foreign, "certificate.key"),
        (path(&own), path(&own), "certificate.malformed"),
        (text.clone(), path(&key), "certificate.malformed"),
        (
            "absent.pem".to_owned(),
            path(&key),
            "certificate.unreadable",
        ),
        (
            path(&own),
            "absent.key".to_owned(),
            "certificate.unreadable",
        ),
    ] {
        let said = failure(&[
            "--port",
            "0",
            "--https-port",
            "0",
            "--cert",
            &cert,
            "--key",
            &key,
        ]);
        let (first, remedy) = said.split_once("\n  ").unwrap();
        assert!(first.starts_with(&format!("error[{code}]: ")), "{said}");
        assert!(remedy.len() > 10, "{said}");
    }
}

#[test]
fn a_taken_port_is_named_with_its_remedy() {
    let other = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let said = failure(&[
        "--port",
        "0",
        "--https-port",
        &port,
        "--certificates",
        folder,
    ]);
    assert!(said.starts_with("error[server.port_in_use]: "), "{said}");
    assert!(
        said.contains(&port) && said.contains("--https-port"),
        "{said}"
    );
}

#[test]
fn who_comes_without_encryption_is_sent_to_https() {
    let folder = tempfile::tempdir().unwrap();
    let (server, _) = made(folder.path());
    let mut socket = TcpStream::connect(local(&server)).unwrap();
    let request = "GET /?a=b HTTP/1.1\r\nhost: box.local:8443\r\n\r\n";
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 307"), "{answer}");
    assert!(
        answer.contains("\r\nlocation: https://box.local:8443/\r\n"),
        "{answer}"
    );
}
