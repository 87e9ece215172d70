//! The signaling server as a child of this process.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::{
    build::WEB,
    command::{could_not_start, program, root},
    error::Error,
};

const POLICY_QUESTION: &str =
    "GET /api/policy-reports HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
/// Where the made certificate is kept, from the root.
const CERTIFICATES: &str = "certificates";

/// Ports to listen on; 0 takes a free one.
#[derive(Clone, Copy)]
pub struct Ports {
    /// For this machine, without encryption.
    pub plain: u16,
    /// For the local network.
    pub https: Option<u16>,
}

/// The built server, from the root: of the profile that this program has, for tests have built that one anyway.
pub const SERVER: &str = if cfg!(debug_assertions) {
    "target/debug/signaling-server"
} else {
    "target/release/signaling-server"
};

/// A server that ends with this value.
pub struct Server {
    child: Child,
    /// Held, because waiting for the child would close it.
    _stdin: Option<ChildStdin>,
    /// Where it listens without encryption.
    pub url: String,
    /// Where it listens with https, the likeliest address first.
    pub https: Vec<String>,
}

impl Server {
    /// Starts the server, with `more` options, and waits until it listens.
    ///
    /// # Errors
    /// It is not built, or it ended and said why.
    pub fn start(model: &Path, ports: Ports, more: &[OsString]) -> Result<Self, Error> {
        let mut command = program(SERVER);
        command
            .arg("--model")
            .arg(model)
            .args(["--web", WEB])
            .args(more);
        command.args(["--port", &ports.plain.to_string()]);
        // However this process ends, the server ends with it.
        command.arg("--stop-with-stdin").stdin(Stdio::piped());
        if let Some(port) = ports.https {
            command.args(["--https-port", &port.to_string()]);
            command.args(["--certificates", CERTIFICATES]);
        }
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| could_not_start(&command, error))?;
        let ways = child.stdout.take().and_then(announced);
        let (https, mut plain): (Vec<_>, Vec<_>) = ways
            .unwrap_or_default()
            .into_iter()
            .partition(|way| way.starts_with("https:"));
        let mut server = Self {
            _stdin: child.stdin.take(),
            child,
            url: plain.pop().unwrap_or_default(),
            https,
        };
        if server.url.is_empty() {
            let _ = server.child.wait();
            return Err(Error::Told);
        }
        Ok(server)
    }

    /// Fails where a browser said that a page broke its content security policy.
    ///
    /// # Errors
    /// It did, or the server does not answer.
    pub fn check_policy(&self) -> Result<(), Error> {
        let address = self.url.trim_start_matches("http://");
        let answer = TcpStream::connect(address).and_then(|mut stream| {
            let mut answer = String::new();
            stream.write_all(POLICY_QUESTION.as_bytes())?;
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        });
        match answer.as_deref().map(|answer| answer.rsplit("\r\n").next()) {
            Ok(Some("0")) => Ok(()),
            _ => Err(Error::Policy),
        }
    }

    /// Serves until the server ends.
    pub fn wait(mut self) -> Result<(), Error> {
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            _ => Err(Error::Told),
        }
    }
}

/// Lets a script and its browsers trust the made certificate, and no other.
pub fn trusting(script: &mut Command) -> &mut Command {
    let certificate = root().join(CERTIFICATES).join("made.pem");
    script
        .env("NODE_EXTRA_CA_CERTS", &certificate)
        .env("LINGUALINKED_CERTIFICATE", &certificate)
}

/// Addresses of a server that is ready. `None`: it has ended, and said why.
fn announced(out: ChildStdout) -> Option<Vec<String>> {
    let mut ways = Vec::new();
    for line in BufReader::new(out).lines() {
        match line.ok()?.strip_prefix("listening on ") {
            Some(way) => ways.push(way.to_owned()),
            None => return Some(ways),
        }
    }
    None
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
