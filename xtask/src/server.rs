//! The signaling server as a child of this process.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Stdio},
};

use crate::{
    build::WEB,
    command::{could_not_start, program},
    error::Error,
};

/// A server that ends with this value.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub url: String,
}

impl Server {
    /// Starts the server and waits until it listens. Port 0 takes a free one.
    ///
    /// # Errors
    /// It is not built, or it ended and said why.
    pub fn start(model: &Path, port: u16) -> Result<Self, Error> {
        let mut command = program("target/release/signaling-server");
        command.arg("--model").arg(model).args(["--web", WEB]);
        command
            .args(["--port", &port.to_string()])
            .stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| could_not_start(&command, error))?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            // Without a line the server has ended; it said why.
            let _ = BufReader::new(out).read_line(&mut line);
        }
        let url = line.trim().strip_prefix("listening on ").map(str::to_owned);
        let mut server = Self {
            child,
            url: url.unwrap_or_default(),
        };
        if server.url.is_empty() {
            let _ = server.child.wait();
            return Err(Error::Told);
        }
        Ok(server)
    }

    /// Serves until the server ends.
    pub fn wait(mut self) -> Result<(), Error> {
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            _ => Err(Error::Told),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
