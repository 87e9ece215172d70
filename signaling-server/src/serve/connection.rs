//! One connection, from its first byte to its last.

use std::{net::SocketAddr, pin::Pin, sync::Arc};

use axum::{
    Router,
    http::{
        HeaderValue, Request, StatusCode,
        header::{CONNECTION, HOST, LOCATION},
    },
    response::{IntoResponse, Response},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::Watcher,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::{Crowd, Place};
use crate::{limits::Limits, visitors::Visitor};

/// Heads are short; this much memory is kept for a connection.
const BUFFER_BYTES: usize = 16 << 10;
/// First byte of every TLS connection: a handshake record.
const TLS_HANDSHAKE: u8 = 22;

/// What all connections of an entrance share.
pub struct Hall {
    router: Router,
    /// Who is there.
    pub crowd: Arc<Crowd>,
    limits: Limits,
}

impl Hall {
    /// Nobody is there yet.
    pub const fn new(router: Router, crowd: Arc<Crowd>, limits: Limits) -> Self {
        Self {
            router,
            crowd,
            limits,
        }
    }

    /// Answers until either side has enough.
    pub async fn converse(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        tls: Option<TlsAcceptor>,
        place: Place,
        watcher: Watcher,
    ) {
        // Small answers must not wait for more.
        let _ = stream.set_nodelay(true);
        let visitor = Visitor {
            address: peer.ip(),
            https: tls.is_some(),
        };
        let router = self.router.clone();
        let Some(tls) = tls else {
            let stream = self.impatient(stream);
            return self.speak(stream, router, visitor, place, watcher).await;
        };
        match timeout(self.limits.head, first_byte(&stream)).await {
            Ok(Some(TLS_HANDSHAKE)) => {
                let handshake = tls.accept(self.impatient(stream));
                if let Ok(Ok(stream)) = timeout(self.limits.head, handshake).await {
                    self.speak(stream, router, visitor, place, watcher).await;
                }
            }
            Ok(Some(_)) => {
                let router = Router::new().fallback(towards_https);
                let stream = self.impatient(stream);
                self.speak(stream, router, visitor, place, watcher).await;
            }
            _ => {}
        }
    }

    /// Gives up readers that take nothing. Whoever listens for messages takes a sign of life now and then.
    fn impatient(&self, stream: TcpStream) -> Pin<Box<TimeoutStream<TcpStream>>> {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.limits.stalled));
        Box::pin(stream)
    }

    async fn speak(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
        router: Router,
        visitor: Visitor,
        place: Place,
        watcher: Watcher,
    ) {
        let place = Arc::new(place);
        let answer = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(visitor);
            request.extensions_mut().insert(Arc::clone(&place));
            router.clone().oneshot(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), answer);
        // A broken connection is the other side's business.
        let _ = watcher.watch(connection).await;
    }
}

async fn first_byte(stream: &TcpStream) -> Option<u8> {
    let mut first = [0];
    let read = stream.peek(&mut first).await.ok()?;
    first.get(..read)?.first().copied()
}

/// People type an address without its scheme, and some browsers then try http.
async fn towards_https(request: axum::extract::Request) -> Response {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let target = host.map(|host| format!("https://{host}{}", request.uri().path()));
    match target.and_then(|target| HeaderValue::try_from(target).ok()) {
        Some(target) => {
            let headers = [
                (LOCATION, target),
                (CONNECTION, HeaderValue::from_static("close")),
            ];
            (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
        }
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}
