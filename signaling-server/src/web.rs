//! The page's files, and headers for everything.

use std::{path::Path, str::FromStr, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, ETAG, IF_MODIFIED_SINCE,
            IF_NONE_MATCH, LAST_MODIFIED, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
        },
    },
    middleware::{self, Next},
    response::IntoResponse,
};
use tower_http::{compression::CompressionLayer, services::ServeDir};

use crate::{api::POLICY_REPORTS, refusal::Refusal};

const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-embedder-policy"),
        HeaderValue::from_static("require-corp"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

/// Another server from which the page may fetch models, as `https://host` or `https://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelOrigin(String);

impl FromStr for ModelOrigin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let authority = text.strip_prefix("https://").unwrap_or_default();
        let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"*.-".contains(&byte);
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0);
        if !host.is_empty() && host.bytes().all(plain) && is_port {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err("give an origin such as https://models.example.org")
        }
    }
}

impl ModelOrigin {
    /// Of a file's address.
    ///
    /// # Errors
    /// It is none of a file on another server.
    pub fn of(address: &str) -> Result<Self, &'static str> {
        let path = address.match_indices('/').nth(2);
        let origin = path.and_then(|(at, _)| address.get(..at));
        origin
            .ok_or("give an address such as https://models.example.org/model.gguf")?
            .parse()
    }
}

/// No script but the page's own, no frames, nothing from or to elsewhere but models.
fn content_security_policy(model_origins: &[ModelOrigin]) -> Option<HeaderValue> {
    let origins: String = model_origins
        .iter()
        .map(|ModelOrigin(origin)| format!(" {origin}"))
        .collect();
    let policy = format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'{origins}; \
         style-src 'self'; img-src 'self' data:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         report-uri {POLICY_REPORTS}"
    );
    HeaderValue::try_from(policy).ok()
}

/// Headers of every answer.
pub fn headers(model_origins: &[ModelOrigin]) -> HeaderMap {
    let policy =
        content_security_policy(model_origins).map(|policy| (CONTENT_SECURITY_POLICY, policy));
    HEADERS.into_iter().chain(policy).collect()
}

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
pub async fn guarded(
    State(headers): State<Arc<HeaderMap>>,
    request: Request,
    next: Next,
) -> Response<axum::body::Body> {
    let mut response = next.run(request).await;
    let guards = headers
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    response.headers_mut().extend(guards);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_come_from_named_origins_only() {
        let origins: Vec<ModelOrigin> = ["https://huggingface.co", "https://*.hf.co:443"]
            .map(|origin| origin.parse().unwrap())
            .into();
        let policy = content_security_policy(&origins).unwrap();
        let policy = policy.to_str().unwrap();
        assert!(policy.contains("connect-src 'self' https://huggingface.co https://*.hf.co:443; "));
        for wrong in [
            "",
            "https://",
            "https://:443",
            "https://a:",
            "https://a:0",
            "https://a:+1",
            "https://a:65536",
            "https://a:1:2",
            "http://a",
            "https://a/b",
            "https://a; script-src *",
            "https://a b",
            "'unsafe-inline'",
        ] {
            assert!(wrong.parse::<ModelOrigin>().is_err(), "{wrong}");
        }
    }
}
