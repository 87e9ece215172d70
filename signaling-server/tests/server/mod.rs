//! A server in memory: requests without sockets, a clock that tests move, the tiny model.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking, and each uses a part of this"
)]

use std::{
    fs,
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Request, StatusCode},
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use signaling_server::{
    Limits,
    api::App,
    clock::Clock,
    counts::Counts,
    gate::Gate,
    models::{Shelf, Traffic},
    rooms::Rooms,
    serve,
    visitors::{Visitor, Visitors},
};
use tempfile::TempDir;
use tower::ServiceExt;

pub const TINY: &[u8] = include_bytes!("../../../tests/fixtures/tiny-llama/model-f32.gguf");

/// Stands still until told.
#[derive(Default)]
pub struct HandClock(AtomicU64);

impl HandClock {
    pub fn forward(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

pub struct Server {
    pub clock: Arc<HandClock>,
    pub rooms: Arc<Rooms>,
    pub counts: Arc<Counts>,
    pub folder: TempDir,
    router: Router,
    address: IpAddr,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The code of a refusal, which also has a sentence and a remedy.
    pub fn refusal(&self) -> (u16, String) {
        let refusal = self.json();
        for part in ["message", "remedy"] {
            assert!(!refusal[part].as_str().unwrap().is_empty(), "{part}");
        }
        let code = refusal["code"].as_str().unwrap().to_owned();
        (self.status.as_u16(), code)
    }
}

impl Server {
    /// Started long ago.
    pub fn start() -> Self {
        let server = Self::with(Limits::default());
        server.clock.forward(3600);
        server
    }

    /// With the tiny model, and a page in the folder `web`.
    pub fn with(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let web = folder.path().join("web");
        fs::create_dir(&web).unwrap();
        let model = folder.path().join("tiny.gguf");
        fs::write(&model, TINY).unwrap();
        let clock = Arc::new(HandClock::default());
        let time = Arc::clone(&clock) as Arc<dyn Clock>;
        let rooms = Arc::new(Rooms::new(limits.clone(), Arc::clone(&time)));
        let counts = Arc::new(Counts::default());
        let app = App {
            rooms: Arc::clone(&rooms),
            visitors: Arc::new(Visitors::new(limits.clone(), time)),
            shelf: Arc::new(
                Shelf::read(&[model], |_| ()).unwrap_or_else(|error| panic!("{error}")),
            ),
            catalogue: Arc::default(),
            counts: Arc::clone(&counts),
            traffic: Arc::new(Traffic::default()),
        };
        let gate = Gate {
            limits,
            behind_proxy: false,
        };
        let router = serve::router(app, gate, &web, &[]);
        Self {
            clock,
            rooms,
            counts,
            folder,
            router,
            address: IpAddr::from([192, 0, 2, 1]),
        }
    }

    /// The next requests come from this address.
    pub fn move_to(&mut self, address: &str) {
        self.address = address.parse().unwrap();
    }

    pub fn model_file(&self) -> PathBuf {
        self.folder.path().join("tiny.gguf")
    }

    pub fn write_page(&self, name: &str, contents: &[u8]) {
        fs::write(self.folder.path().join("web").join(name), contents).unwrap();
    }

    /// Status and headers are there, the body may never end.
    pub async fn open(&self, mut request: Request<Body>) -> axum::http::Response<Body> {
        request.extensions_mut().insert(Visitor {
            address: self.address,
            https: false,
        });
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub async fn ask(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.open(request).await.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask(get(path, headers)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_text(path, body.to_string()).await
    }

    pub async fn post_text(&self, path: &str, body: String) -> Answer {
        let request = Request::post(path).header("content-type", "application/json");
        self.ask(request.body(body.into()).unwrap()).await
    }

    pub async fn host(&self) -> Seat {
        let answer = self.post("/api/rooms", &json!({})).await;
        assert_eq!(answer.status, 200);
        Seat::of(&answer)
    }

    pub async fn guest(&self, room: &str) -> Seat {
        let answer = self
            .post(&format!("/api/rooms/{room}/seats"), &json!({}))
            .await;
        assert_eq!(answer.status, 200);
        Seat::of(&answer)
    }

    pub async fn send(&self, from: &Seat, to: &str, body: &str) -> Answer {
        let request = Request::post(format!("/api/rooms/{}/messages", from.room))
            .header("content-type", "application/json")
            .header("authorization", from.proof());
        let message = json!({"to": to, "body": body}).to_string();
        self.ask(request.body(message.into()).unwrap()).await
    }

    /// An answer instead of a stream of messages.
    pub async fn get_events(&self, seat: &Seat) -> Answer {
        self.get_with(&seat.events(), &[("authorization", &seat.proof())])
            .await
    }

    /// The stream of a seat; after the event with number `last` when reconnecting.
    pub async fn listen(&self, seat: &Seat, last: Option<u64>) -> Events {
        self.listen_at(&seat.events(), seat, last).await
    }

    /// The messages that are there, or the first that comes, and then the end.
    pub async fn poll(&self, seat: &Seat, last: Option<u64>) -> Events {
        self.listen_at(&format!("{}?poll=true", seat.events()), seat, last)
            .await
    }

    async fn listen_at(&self, path: &str, seat: &Seat, last: Option<u64>) -> Events {
        let last = last.map(|last| last.to_string());
        let proof = seat.proof();
        let mut headers = vec![("authorization", proof.as_str())];
        headers.extend(last.iter().map(|last| ("last-event-id", last.as_str())));
        let response = self.open(get(path, &headers)).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events {
            body: response.into_body(),
            text: String::new(),
        }
    }
}

pub fn get(path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let request = headers
        .iter()
        .fold(Request::get(path), |request, (name, value)| {
            request.header(*name, *value)
        });
    request.body(Body::empty()).unwrap()
}

#[derive(Clone)]
pub struct Seat {
    pub room: String,
    pub seat: String,
    pub key: String,
}

impl Seat {
    fn of(answer: &Answer) -> Self {
        let answer = answer.json();
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        Self {
            room: text("room"),
            seat: text("seat"),
            key: text("key"),
        }
    }

    pub fn events(&self) -> String {
        format!("/api/rooms/{}/events", self.room)
    }

    pub fn proof(&self) -> String {
        format!("Bearer {}.{}", self.seat, self.key)
    }
}

/// A page's EventSource.
pub struct Events {
    body: Body,
    text: String,
}

impl Events {
    /// (event number, sender, body) of the next message; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<(u64, String, String)> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let message = message(event);
                self.text = rest.to_owned();
                if message.is_some() {
                    return message;
                }
            }
            let wait = tokio::time::timeout(Duration::from_secs(5), self.body.frame());
            let frame = wait.await.unwrap_or_else(|_| panic!("no event came"))?;
            let bytes = frame.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    pub async fn bodies(&mut self, count: usize) -> Vec<String> {
        let mut bodies = Vec::new();
        for _ in 0..count {
            bodies.push(self.next().await.unwrap().2);
        }
        bodies
    }
}

fn message(event: &str) -> Option<(u64, String, String)> {
    let field = |name: &str| {
        event
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let data: Value = serde_json::from_str(field("data")?).unwrap();
    let text = |name: &str| data[name].as_str().unwrap().to_owned();
    Some((field("id")?.parse().unwrap(), text("from"), text("body")))
}
