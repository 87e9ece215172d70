//! First contact through the server of this page's origin: rooms, seats, and one offer and answer per guest.

mod events;
mod inbox;

use proto::{PROTOCOL, ProtoError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use session::Fault;

use crate::{clock::sleep, error::BrowserError, http};
pub use inbox::Inbox;

/// A second is enough for the next one.
const SEND_WAIT_MS: f64 = 1000.0;
const SEND_ATTEMPTS: u32 = 5;

/// A seat in a room: the right to read its messages and to send in its name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Seat {
    /// Name of the room.
    pub room: String,
    /// `host`, `g1`, `g2`, ...
    pub seat: String,
    key: String,
}

impl Seat {
    /// What shows the server that a request comes from this seat.
    fn proof(&self) -> String {
        format!("Bearer {}.{}", self.seat, self.key)
    }

    fn is_host(&self) -> bool {
        self.seat == HOST_SEAT
    }
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
    post("/api/rooms", &serde_json::json!({})).await
}

/// Opens the host's room again, under the same name, also on a server that has forgotten it.
pub async fn reopen(host: &Seat) -> Result<Seat, Fault> {
    post("/api/rooms", &serde_json::json!({ "key": host.key })).await
}

/// Takes a seat in a room; refuses unknown and expired ones.
pub async fn take_seat(room: &str) -> Result<Seat, Fault> {
    let url = format!("/api/rooms/{}/seats", escape(room));
    post(&url, &serde_json::json!({})).await
}

/// Sends to another seat. A host whom many guests ask at once has to wait now and then.
pub async fn send(seat: &Seat, to: &str, message: &FirstContact) -> Result<(), Fault> {
    let versioned = Versioned {
        protocol: PROTOCOL,
        message,
    };
    let message = serde_json::json!({ "to": to, "body": json(&versioned)? });
    let url = format!("/api/rooms/{}/messages", escape(&seat.room));
    let mut attempts = 0;
    loop {
        match http::post(&url, &json(&message)?, &[("authorization", seat.proof())]).await {
            Err(fault) if fault.code == "rate.exceeded" && attempts < SEND_ATTEMPTS => {
                attempts += 1;
                sleep(SEND_WAIT_MS).await;
            }
            sent => return sent.map(drop),
        }
    }
}

async fn post<T: DeserializeOwned>(url: &str, body: &impl Serialize) -> Result<T, Fault> {
    let response = http::post(url, &json(body)?, &[]).await?;
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
