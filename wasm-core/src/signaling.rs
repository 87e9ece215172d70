//! First contact through the server of this page's origin: rooms, seats, and one offer and answer per guest.

use futures::{StreamExt, channel::mpsc};
use proto::{PROTOCOL, ProtoError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use session::Fault;
use wasm_bindgen::prelude::*;
use web_sys::{EventSource, MessageEvent};

use crate::{
    error::BrowserError,
    http::{self, Method},
};

/// A seat in a room: the right to read its messages and to send in its name.
#[derive(Debug, Clone, Deserialize)]
pub struct Seat {
    /// Name of the room.
    pub room: String,
    /// `host`, `g1`, `g2`, ...
    pub seat: String,
    key: String,
}

/// What guest and host say to each other before they are connected.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FirstContact {
    /// Guest to host.
    Offer {
        /// With all candidates.
        sdp: String,
    },
    /// Host to guest.
    Answer {
        /// With all candidates.
        sdp: String,
        /// The guest's number in the room.
        member: u32,
        /// The guest's seat, for checking.
        you: String,
    },
    /// Host to guest.
    Refused {
        /// Why.
        fault: Fault,
    },
}

/// A message and the version of the page that wrote it.
#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    protocol: u8,
    #[serde(flatten)]
    message: T,
}

/// What reaches a seat.
pub enum Letter {
    /// Of this version.
    Read(FirstContact),
    /// Of a page of another version, which is told with this.
    OtherVersion(Fault),
}

impl Letter {
    /// `None` for what no version writes.
    fn read(body: &str) -> Option<Self> {
        let Versioned {
            protocol: theirs, ..
        }: Versioned<serde::de::IgnoredAny> = serde_json::from_str(body).ok()?;
        if theirs != PROTOCOL {
            let ours = PROTOCOL;
            let error = ProtoError::Version { theirs, ours };
            return Some(Self::OtherVersion(Fault::from(&error)));
        }
        let Versioned { message, .. } = serde_json::from_str(body).ok()?;
        Some(Self::Read(message))
    }
}

/// The seat of the page that started the room.
pub const HOST_SEAT: &str = "host";

/// Starts a room.
pub async fn create_room() -> Result<Seat, Fault> {
    post(
        "/api/rooms",
        &serde_json::Value::Object(serde_json::Map::new()),
    )
    .await
}

/// Takes a seat in a room; refuses unknown and expired ones.
pub async fn take_seat(room: &str) -> Result<Seat, Fault> {
    post(
        &format!("/api/rooms/{}/seats", escape(room)),
        &serde_json::Value::Object(serde_json::Map::new()),
    )
    .await
}

/// Sends to another seat.
pub async fn send(seat: &Seat, to: &str, message: &FirstContact) -> Result<(), Fault> {
    #[derive(Serialize)]
    struct Body<'a> {
        seat: &'a str,
        key: &'a str,
        to: &'a str,
        body: String,
    }
    let versioned = Versioned {
        protocol: PROTOCOL,
        message,
    };
    let body = serde_json::to_string(&versioned)
        .map_err(|error| unexpected("message", &error.to_string()))?;
    let url = format!("/api/rooms/{}/messages", escape(&seat.room));
    http::request(
        Method::Post,
        &url,
        Some(&json(&Body {
            seat: &seat.seat,
            key: &seat.key,
            to,
            body,
        })?),
    )
    .await?;
    Ok(())
}

/// Messages to a seat, as they come. Dropping it closes the connection; the browser reconnects by itself where it breaks.
pub struct Inbox {
    source: EventSource,
    messages: mpsc::UnboundedReceiver<String>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
}

impl Inbox {
    /// Opens the stream of a seat.
    pub fn open(seat: &Seat) -> Result<Self, Fault> {
        let url = format!(
            "/api/rooms/{}/events?seat={}&key={}",
            escape(&seat.room),
            escape(&seat.seat),
            escape(&seat.key)
        );
        let source = EventSource::new(&url).map_err(|thrown| BrowserError::thrown(&thrown))?;
        let (to_reader, messages) = mpsc::unbounded();
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            if let Some(text) = event.data().as_string() {
                // The reader is gone: so is the wish to read.
                let _ = to_reader.unbounded_send(text);
            }
        });
        source.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        Ok(Self {
            source,
            messages,
            _on_message: on_message,
        })
    }

    /// The next readable message: (sender's seat, message). Anything else is skipped: anyone with the room's name may write here.
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
        self.source.set_onmessage(None);
        self.source.close();
    }
}

async fn post<T: DeserializeOwned>(url: &str, body: &impl Serialize) -> Result<T, Fault> {
    let response = http::request(Method::Post, url, Some(&json(body)?)).await?;
    http::json(&response, url).await
}

fn json(value: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| unexpected("message", &error.to_string()))
}

fn unexpected(url: &str, detail: &str) -> Fault {
    BrowserError::ServerAnswer {
        url: url.to_owned(),
        detail: detail.to_owned(),
    }
    .into()
}

/// A path segment or query value: room ids come from pasted links.
fn escape(part: &str) -> String {
    js_sys::encode_uri_component(part).into()
}
