//! Rooms over HTTP: POST up, server-sent events down.
//!
//! A seat is proved in the header `authorization: Bearer SEAT.KEY`, not in the address, which proxies write into their logs.

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{
    App,
    extract::{Asked, Body, Owner},
};
use crate::{
    refusal::Refusal,
    rooms::{Inbox, Letter, Ticket},
    visitors::{Streaming, Visitor},
};

/// Shorter than the patience of proxies and phone networks.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A poll without a message is answered after so long.
const POLL: Duration = Duration::from_secs(20);

/// A new room, or the one that was opened with this key.
#[derive(Deserialize)]
pub struct Opened {
    key: Option<String>,
}

/// `{}`: nothing to choose.
#[derive(Deserialize)]
pub struct Nothing {}

#[derive(Deserialize)]
pub struct Message {
    to: String,
    body: String,
}

#[derive(Deserialize)]
pub struct Listening {
    /// End the answer after what is there, for networks in which streams are held back.
    #[serde(default)]
    poll: bool,
}

pub async fn open(
    State(app): State<App>,
    Extension(visitor): Extension<Visitor>,
    Body(Opened { key }): Body<Opened>,
) -> Result<Json<Ticket>, Refusal> {
    app.visitors.ask(visitor.address)?;
    app.rooms.open(visitor.address, key.as_deref()).map(Json)
}

pub async fn take_seat(
    State(app): State<App>,
    Extension(visitor): Extension<Visitor>,
    Path(room): Path<String>,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Json<Ticket>, Refusal> {
    app.visitors.ask(visitor.address)?;
    app.rooms.seat_soon(&room).await.map(Json)
}

pub async fn send(
    State(app): State<App>,
    Path(room): Path<String>,
    Owner { seat, key }: Owner,
    Body(Message { to, body }): Body<Message>,
) -> Result<StatusCode, Refusal> {
    app.rooms.send(&room, (&seat, &key), &to, body)?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn events(
    State(app): State<App>,
    Extension(visitor): Extension<Visitor>,
    Path(room): Path<String>,
    Owner { seat, key }: Owner,
    Asked(Listening { poll }): Asked<Listening>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let streaming = app.visitors.stream(visitor.address)?;
    let inbox = app
        .rooms
        .listen(&room, (&seat, &key), last_read(&headers))?;
    // Tells the reader at once that nothing on the way holds the stream back.
    let hello = stream::iter([Ok(Event::default().comment("hello"))]);
    let letters = if poll {
        stream::unfold(Poll::First(inbox, streaming), polled).left_stream()
    } else {
        stream::unfold((inbox, streaming), streamed).right_stream()
    };
    let events = hello.chain(letters.filter_map(async |letter| event(&letter).map(Ok)));
    Ok(Sse::new(Box::pin(events)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// A reader names the last event it has when it comes back.
fn last_read(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

async fn streamed(
    (mut inbox, streaming): (Inbox, Streaming),
) -> Option<(Letter, (Inbox, Streaming))> {
    let letter = inbox.next().await?;
    Some((letter, (inbox, streaming)))
}

enum Poll {
    First(Inbox, Streaming),
    Rest(Inbox, Streaming),
}

async fn polled(poll: Poll) -> Option<(Letter, Poll)> {
    let (letter, inbox, streaming) = match poll {
        Poll::First(mut inbox, streaming) => {
            (timeout(POLL, inbox.next()).await.ok()??, inbox, streaming)
        }
        Poll::Rest(mut inbox, streaming) => (inbox.waiting()?, inbox, streaming),
    };
    Some((letter, Poll::Rest(inbox, streaming)))
}

fn event(letter: &Letter) -> Option<Event> {
    #[derive(Serialize)]
    struct Envelope<'a> {
        from: &'a str,
        body: &'a str,
    }
    let envelope = Envelope {
        from: &letter.from,
        body: &letter.body,
    };
    let event = Event::default().id(letter.number.to_string());
    event.json_data(envelope).ok()
}
