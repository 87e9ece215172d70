//! Orders of the script that runs in the lab: one [`Change`] in JSON per line, answered by a line.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::Arc,
    thread,
};

use crate::{conditions::Change, error::LabError, relay::Relay};

/// Listens at a path.
///
/// # Errors
/// The path is taken.
pub fn listen(path: &Path, relay: Arc<Relay>) -> Result<(), LabError> {
    let listener = UnixListener::bind(path).map_err(LabError::of("listening for orders"))?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let relay = Arc::clone(&relay);
            thread::spawn(move || obey(&stream, &relay));
        }
    });
    Ok(())
}

fn obey(stream: &UnixStream, relay: &Relay) {
    let mut answers = stream;
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let answer = match serde_json::from_str::<Change>(&line) {
            Ok(change) => {
                relay.change(&change);
                "done".to_owned()
            }
            Err(error) => error.to_string(),
        };
        if writeln!(answers, "{answer}").is_err() {
            return;
        }
    }
}
