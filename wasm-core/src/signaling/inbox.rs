//! Messages to a seat, as they come, for as long as somebody wants them.

use futures::{
    StreamExt,
    channel::mpsc,
    future::{AbortHandle, Either, abortable, select},
};
use serde::Deserialize;
use session::Fault;
use wasm_bindgen_futures::spawn_local;
use wasm_streams::ReadableStream;

use super::{Letter, Seat, escape, events::Events, reopen};
use crate::{clock::sleep, http};

/// Waits before the next attempts to listen; the last one stays. A host must be found within seconds of its server's return.
const BACKOFF_MS: [f64; 4] = [250.0, 1000.0, 2000.0, 4000.0];
/// The server says something at once; where that does not arrive, something on the way holds streams back.
const HELLO_MS: f64 = 6000.0;
/// The server says something every 15 s.
const SILENCE_MS: f64 = 40_000.0;

/// Messages to a seat. Dropping it stops listening.
pub struct Inbox {
    messages: mpsc::UnboundedReceiver<String>,
    listening: AbortHandle,
}

impl Inbox {
    /// Listens from now on: through broken connections, and, for the host, through restarts of the server.
    pub fn open(seat: &Seat) -> Self {
        let (to_reader, messages) = mpsc::unbounded();
        let listener = Listener {
            seat: seat.clone(),
            last: 0,
            polling: false,
            to_reader,
        };
        let (listening, handle) = abortable(listener.listen());
        spawn_local(async {
            // The reader has stopped it.
            let _ = listening.await;
        });
        Self {
            messages,
            listening: handle,
        }
    }

    /// The next readable message: (sender's seat, message). Anything else is skipped: anyone with the room's name may write here.
    /// `None`: the room is gone.
    pub async fn next(&mut self) -> Option<(String, Letter)> {
        #[derive(Deserialize)]
        struct Envelope {
            from: String,
            body: String,
        }
        loop {
            let text = self.messages.next().await?;
            let Ok(Envelope { from, body }) = serde_json::from_str(&text) else {
                continue;
            };
            if let Some(letter) = Letter::read(&body) {
                return Some((from, letter));
            }
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

struct Listener {
    seat: Seat,
    /// Number of the last message that arrived.
    last: u64,
    /// Streams are held back: ask again and again.
    polling: bool,
    to_reader: mpsc::UnboundedSender<String>,
}

/// Why an answer of the server ended.
enum Ended {
    /// It was whole, as an answer to a poll is.
    Whole,
    /// Nothing of it arrived in time.
    HeldBack,
    /// The connection broke.
    Broken,
    /// The server has no such room any more.
    Forgotten,
}

impl Listener {
    async fn listen(mut self) {
        let mut failures = 0;
        loop {
            let before = self.last;
            match self.hear().await {
                Ended::Whole if self.polling => failures = 0,
                Ended::HeldBack => self.polling = true,
                Ended::Forgotten if !self.seat.is_host() => return,
                Ended::Forgotten if reopen(&self.seat).await.is_ok() => {
                    // The new room numbers its messages from the start.
                    self.last = 0;
                    failures = 0;
                }
                Ended::Whole | Ended::Broken | Ended::Forgotten => {
                    if self.last > before {
                        failures = 0;
                    }
                    let wait = BACKOFF_MS.get(failures).or(BACKOFF_MS.last());
                    sleep(wait.copied().unwrap_or_default()).await;
                    failures += 1;
                }
            }
        }
    }

    /// One request, until its answer ends.
    async fn hear(&mut self) -> Ended {
        let url = format!(
            "/api/rooms/{}/events?poll={}",
            escape(&self.seat.room),
            self.polling
        );
        let headers = [
            ("authorization", self.seat.proof()),
            ("last-event-id", self.last.to_string()),
        ];
        let mut patience_ms = if self.polling { SILENCE_MS } else { HELLO_MS };
        let Some(opened) = within(patience_ms, http::open(&url, &headers)).await else {
            return self.late();
        };
        let (body, _open) = match opened {
            Ok(opened) => opened,
            Err(fault) => return Self::refused(&fault),
        };
        let mut pieces = ReadableStream::from_raw(body).into_stream();
        let mut events = Events::default();
        let mut heard = false;
        loop {
            let piece = match within(patience_ms, pieces.next()).await {
                Some(Some(Ok(piece))) => js_sys::Uint8Array::new(&piece).to_vec(),
                Some(None) => return Ended::Whole,
                Some(Some(Err(_))) => return Ended::Broken,
                None if heard => return Ended::Broken,
                None => return self.late(),
            };
            let Ok(events) = events.take(&piece) else {
                return Ended::Broken;
            };
            heard = true;
            patience_ms = SILENCE_MS;
            for event in events {
                self.last = event.number.unwrap_or(self.last);
                // The reader is gone: so is this listener, at its next wait.
                let _ = self.to_reader.unbounded_send(event.data);
            }
        }
    }

    const fn late(&self) -> Ended {
        if self.polling {
            Ended::Broken
        } else {
            Ended::HeldBack
        }
    }

    fn refused(fault: &Fault) -> Ended {
        match fault.code.as_ref() {
            "room.unknown" | "room.expired" => Ended::Forgotten,
            _ => Ended::Broken,
        }
    }
}

async fn within<T>(limit_ms: f64, work: impl Future<Output = T>) -> Option<T> {
    match select(Box::pin(work), Box::pin(sleep(limit_ms))).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}
