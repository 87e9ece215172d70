//! Routes.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, Path as Segment, Query, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{get, post},
};
use futures::{Stream, StreamExt, stream};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;
use tower_http::{services::ServeDir, set_header::SetResponseHeaderLayer};

use crate::{
    error::ServerError,
    models::{Entry, Models},
    range,
    rooms::{MAX_MESSAGE_BYTES, Message, Rooms, Seat},
};

/// Most clients whose bytes are counted.
const MAX_CLIENTS: usize = 1000;
/// What a page of ours may do, and no other may do with it.
const HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; style-src 'self'; \
         img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("cache-control", "no-cache"),
];

/// What all requests share.
pub struct Shared {
    rooms: Mutex<Rooms>,
    models: Models,
    /// Model bytes sent, by the name a client gave itself.
    sent_bytes: Mutex<BTreeMap<String, u64>>,
    started: Instant,
}

type Server = State<Arc<Shared>>;

/// The server's routes; everything else is a file of `web`.
pub fn router(models: Models, web: &Path, room_idle: Duration) -> Router {
    let shared = Arc::new(Shared {
        rooms: Mutex::new(Rooms::new(room_idle)),
        models,
        sent_bytes: Mutex::default(),
        started: Instant::now(),
    });
    let mut router = Router::new()
        .route("/api/rooms", post(create_room))
        .route("/api/rooms/{room}/seats", post(take_seat))
        .route("/api/rooms/{room}/messages", post(send))
        .route("/api/rooms/{room}/events", get(events))
        .route("/api/models", get(models_list))
        .route("/api/traffic", get(traffic))
        .route("/models/{id}/manifest", get(manifest))
        .route("/models/{id}/file", get(file))
        .route("/healthz", get(|| async { "ok" }))
        .layer(DefaultBodyLimit::max(2 * MAX_MESSAGE_BYTES))
        .with_state(shared)
        .fallback_service(ServeDir::new(web));
    for (name, value) in HEADERS {
        router = router.layer(SetResponseHeaderLayer::overriding(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        ));
    }
    router
}

impl Shared {
    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn count(&self, client: &str, bytes: u64) {
        let mut sent = self
            .sent_bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if sent.len() < MAX_CLIENTS || sent.contains_key(client) {
            *sent.entry(client.to_owned()).or_default() += bytes;
        }
    }
}

async fn create_room(State(shared): Server) -> Result<Json<Seat>, ServerError> {
    let now = shared.now();
    shared.rooms().create(now).map(Json)
}

async fn take_seat(
    State(shared): Server,
    Segment(room): Segment<String>,
) -> Result<Json<Seat>, ServerError> {
    let now = shared.now();
    shared.rooms().take_seat(now, &room).map(Json)
}

#[derive(Deserialize)]
struct Letter {
    seat: String,
    key: String,
    to: String,
    body: String,
}

async fn send(
    State(shared): Server,
    Segment(room): Segment<String>,
    letter: Result<Json<Letter>, axum::extract::rejection::JsonRejection>,
) -> Result<StatusCode, ServerError> {
    let Json(letter) = letter.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ServerError::MessageTooLarge,
        _ => ServerError::Request,
    })?;
    let now = shared.now();
    let from = (letter.seat.as_str(), letter.key.as_str());
    shared
        .rooms()
        .send(now, &room, from, &letter.to, letter.body)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Reader {
    seat: String,
    key: String,
}

async fn events(
    State(shared): Server,
    Segment(room): Segment<String>,
    Query(Reader { seat, key }): Query<Reader>,
) -> Result<impl IntoResponse, ServerError> {
    let messages = messages(shared, room, seat, key)?;
    Ok(Sse::new(messages).keep_alive(KeepAlive::default()))
}

/// Waits for messages until the room ends.
fn messages(
    shared: Arc<Shared>,
    room: String,
    seat: String,
    key: String,
) -> Result<impl Stream<Item = Result<Event, Infallible>>, ServerError> {
    let next = move |shared: &Shared| {
        let now = shared.now();
        shared.rooms().next(now, &room, &seat, &key)
    };
    // A wrong key is refused before the stream begins.
    let first = next(&shared)?;
    Ok(stream::unfold(
        (shared, next, Some(first)),
        |(shared, next, mut known)| async move {
            loop {
                match known.take().map_or_else(|| next(&shared), Ok).ok()? {
                    Ok(message) => return Some((Ok(event(&message)), (shared, next, None))),
                    Err(arrived) => arrived.notified().await,
                }
            }
        },
    ))
}

fn event(message: &Message) -> Event {
    Event::default()
        .json_data(message)
        .unwrap_or_else(|_| Event::default())
}

async fn models_list(State(shared): Server) -> Json<Vec<Entry>> {
    Json(shared.models.entries())
}

async fn traffic(State(shared): Server) -> Json<BTreeMap<String, u64>> {
    let sent = shared.sent_bytes.lock();
    Json(sent.unwrap_or_else(PoisonError::into_inner).clone())
}

async fn manifest(
    State(shared): Server,
    Segment(id): Segment<String>,
) -> Result<Response, ServerError> {
    let json = shared.models.get(&id)?.manifest_json.clone();
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

#[derive(Deserialize)]
struct Client {
    client: Option<String>,
}

async fn file(
    State(shared): Server,
    Segment(id): Segment<String>,
    Query(Client { client }): Query<Client>,
    headers: HeaderMap,
) -> Result<Response, ServerError> {
    let model = shared.models.get(&id)?;
    let size = model.entry.file_bytes;
    let wanted = headers.get(header::RANGE).map(|range| range.to_str());
    let range = match wanted {
        Some(Ok(wanted)) => Some(range::parse(wanted, size).ok_or(ServerError::Range)?),
        Some(Err(_)) => return Err(ServerError::Range),
        None => None,
    };
    let unreadable = |error| ServerError::File {
        path: model.entry.name.clone(),
        error,
    };
    let (start, end) = range
        .as_ref()
        .map_or((0, size), |range| (range.start, range.end));
    let mut file = tokio::fs::File::open(&model.path)
        .await
        .map_err(unreadable)?;
    file.seek(std::io::SeekFrom::Start(start))
        .await
        .map_err(unreadable)?;
    let counted = Arc::clone(&shared);
    let bytes = ReaderStream::new(file.take(end - start)).inspect(move |piece| {
        if let (Ok(piece), Some(client)) = (piece, &client) {
            counted.count(client, piece.len() as u64);
        }
    });
    let response = Response::builder()
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CONTENT_LENGTH, end - start);
    let response = match range {
        Some(_) => response.status(StatusCode::PARTIAL_CONTENT).header(
            header::CONTENT_RANGE,
            format!("bytes {start}-{}/{size}", end.saturating_sub(1)),
        ),
        None => response,
    };
    response
        .body(Body::from_stream(bytes))
        .map_err(|_| ServerError::Request)
}
