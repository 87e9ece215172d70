//! The page's files, and headers for everything.

use std::path::Path;

use axum::{
    Router,
    extract::Request,
    http::{
        HeaderName, HeaderValue, Response, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_LENGTH, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
        },
    },
    middleware::{self, Next},
    response::IntoResponse,
};
use tower_http::{compression::CompressionLayer, services::ServeDir};

use crate::refusal::Refusal;

/// No script but the page's own, no frames, nothing from or to elsewhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; \
     connect-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (
        HeaderName::from_static("content-security-policy"),
        CONTENT_SECURITY_POLICY,
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-embedder-policy"),
        "require-corp",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (HeaderName::from_static("referrer-policy"), "no-referrer"),
    (HeaderName::from_static("x-content-type-options"), "nosniff"),
];

/// Files of `folder`, compressed where the browser takes it, and asked for anew at every visit.
pub fn files(folder: &Path) -> Router {
    let nothing = tower::service_fn(async |_: Request| {
        Ok::<_, std::convert::Infallible>(Refusal::Nothing.into_response())
    });
    let files = ServeDir::new(folder).precompressed_gzip().fallback(nothing);
    Router::new()
        .fallback_service(files)
        .layer(middleware::from_fn(revalidated))
        .layer(CompressionLayer::new())
}

/// Adds a tag of size and time to a file; answers 304 to a browser that has it.
async fn revalidated(mut request: Request, next: Next) -> Response<axum::body::Body> {
    let known = request.headers().get(IF_NONE_MATCH).cloned();
    // Times alone miss a file that was replaced by an older one.
    request.headers_mut().remove(IF_MODIFIED_SINCE);
    let mut response = next.run(request).await;
    let whole = response.status() == StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let text = |name| Some(headers.get(name)?.to_str().ok()?.replace(' ', "-"));
    let Some((modified, bytes)) = text(LAST_MODIFIED)
        .zip(text(CONTENT_LENGTH))
        .filter(|_| whole)
    else {
        return response;
    };
    let Ok(tag) = HeaderValue::try_from(format!("W/\"{modified}-{bytes}\"")) else {
        return response;
    };
    if known.as_ref() == Some(&tag) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response();
    }
    headers.insert(ETAG, tag);
    response
}

/// Puts the security headers on every answer.
pub async fn guarded(request: Request, next: Next) -> Response<axum::body::Body> {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
