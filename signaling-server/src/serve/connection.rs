//! One connection, from its first byte to its last.

use std::time::Duration;

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
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// A request's head, or a TLS handshake, takes no longer; nor does a connection wait longer for its next request.
const HEAD: Duration = Duration::from_secs(10);
/// Heads are short; this much memory is kept for a connection.
const BUFFER_BYTES: usize = 16 << 10;
/// First byte of every TLS connection: a handshake record.
const TLS_HANDSHAKE: u8 = 22;

/// Answers until either side has enough.
pub async fn converse(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    watcher: Watcher,
) {
    // Small answers must not wait for more.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return speak(stream, router, watcher).await;
    };
    match timeout(HEAD, first_byte(&stream)).await {
        Ok(Some(TLS_HANDSHAKE)) => {
            if let Ok(Ok(stream)) = timeout(HEAD, tls.accept(stream)).await {
                speak(stream, router, watcher).await;
            }
        }
        Ok(Some(_)) => speak(stream, Router::new().fallback(towards_https), watcher).await,
        _ => {}
    }
}

async fn first_byte(stream: &TcpStream) -> Option<u8> {
    let mut first = [0];
    let read = stream.peek(&mut first).await.ok()?;
    first.get(..read)?.first().copied()
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    router: Router,
    watcher: Watcher,
) {
    let answer = service_fn(move |request: Request<Incoming>| router.clone().oneshot(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), answer);
    // A broken connection is the other side's business.
    let _ = watcher.watch(connection).await;
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
