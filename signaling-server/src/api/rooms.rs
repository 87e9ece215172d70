//! Rooms over HTTP: POST up, server-sent events down.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{
    App,
    extract::{Asked, Body},
};
use crate::{
    refusal::Refusal,
    rooms::{Inbox, Letter, Ticket},
};

/// Shorter than the patience of proxies and phone networks.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a browser waits before it reconnects.
const RECONNECT: Duration = Duration::from_secs(1);

/// `{}`: nothing to choose yet.
#[derive(Deserialize)]
pub struct Nothing {}

#[derive(Deserialize)]
pub struct Message {
    seat: String,
    key: String,
    to: String,
    body: String,
}

#[derive(Deserialize)]
pub struct Owner {
    seat: String,
    key: String,
}

pub async fn create(
    State(app): State<App>,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Json<Ticket>, Refusal> {
    app.rooms.create().map(Json)
}

pub async fn take_seat(
    State(app): State<App>,
    Path(room): Path<String>,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Json<Ticket>, Refusal> {
    app.rooms.take_seat(&room).map(Json)
}

pub async fn send(
    State(app): State<App>,
    Path(room): Path<String>,
    Body(message): Body<Message>,
) -> Result<StatusCode, Refusal> {
    let sender = (message.seat.as_str(), message.key.as_str());
    app.rooms.send(&room, sender, &message.to, message.body)?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn events(
    State(app): State<App>,
    Path(room): Path<String>,
    Asked(owner): Asked<Owner>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let inbox = app
        .rooms
        .listen(&room, (&owner.seat, &owner.key), last_read(&headers))?;
    let hello = stream::iter([Ok(Event::default().retry(RECONNECT))]);
    let events = hello.chain(stream::unfold(inbox, next_event));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// Browsers name the last event they have when they reconnect.
fn last_read(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

async fn next_event(mut inbox: Inbox) -> Option<(Result<Event, Infallible>, Inbox)> {
    let letter = inbox.next().await?;
    Some((Ok(event(&letter)?), inbox))
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
