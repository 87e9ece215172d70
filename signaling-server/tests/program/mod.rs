//! The program as its users start it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking, and each uses a part of this"
)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signaling-server"));
    command
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A running server, stopped when dropped.
pub struct Running {
    pub child: Child,
    /// Address and port of the plain entrance.
    pub address: String,
    /// Addresses and ports of the encrypted one.
    pub https: Vec<String>,
}

impl Running {
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = program(arguments).spawn().unwrap();
        let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        let lines: Vec<String> = lines
            .map(Result::unwrap)
            .take_while(|line| line != "ready")
            .collect();
        let ways = |scheme: &str| -> Vec<String> {
            let ways = lines.iter().filter_map(|line| line.strip_prefix(scheme));
            ways.map(str::to_owned).collect()
        };
        let address = ways("listening on http://").remove(0);
        Self {
            child,
            address,
            https: ways("listening on https://"),
        }
    }

    pub fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    pub fn ask(&self, request: &str) -> String {
        let mut answer = String::new();
        let request = format!("{request}\r\nhost: a\r\nconnection: close\r\n\r\n");
        self.send(&request).read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server says that does not start.
pub fn failure(arguments: &[&str]) -> String {
    let output = program(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}
