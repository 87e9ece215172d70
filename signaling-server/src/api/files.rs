//! Models over HTTP.

use std::collections::BTreeMap;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{
            ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
            IF_RANGE, RANGE,
        },
    },
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt, SeekFrom},
};
use tokio_util::io::ReaderStream;

use super::{App, extract::Asked};
use crate::{
    models::{ByteRange, Counter, Model},
    refusal::Refusal,
};

/// Read from the disk at once.
const READ_BYTES: usize = 64 << 10;

#[derive(Serialize)]
pub struct Listed {
    id: String,
    name: String,
    file: String,
    manifest: String,
    file_bytes: u64,
}

#[derive(Deserialize)]
pub struct Asker {
    /// Under which name the bytes are counted; not at all without.
    client: Option<String>,
}

pub async fn models(State(app): State<App>) -> impl IntoResponse {
    let listed = app.shelf.models().map(|model| Listed {
        id: model.id.clone(),
        name: model.name.clone(),
        file: format!("/models/{}/file", model.id),
        manifest: format!("/models/{}/manifest", model.id),
        file_bytes: model.manifest.file_bytes,
    });
    let listed: Vec<_> = listed.collect();
    ([(CACHE_CONTROL, "no-cache")], Json(listed))
}

pub async fn catalogue(State(app): State<App>) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, app.catalogue.json.clone())
}

pub async fn traffic(State(app): State<App>) -> Json<BTreeMap<String, u64>> {
    Json(app.traffic.totals())
}

pub async fn manifest(
    State(app): State<App>,
    Path(id): Path<String>,
    Asked(asker): Asked<Asker>,
) -> Result<Response, Refusal> {
    let model = app.shelf.find(&id)?;
    let counter = app.traffic.counter(asker.client);
    let json = model.manifest_json.clone();
    let headers = [
        (CONTENT_TYPE, "application/json".to_owned()),
        (CACHE_CONTROL, "no-cache".to_owned()),
        (CONTENT_LENGTH, json.len().to_string()),
    ];
    let json = futures::stream::iter([Ok::<_, std::io::Error>(json)]);
    Ok((headers, counted(json, counter)).into_response())
}

pub async fn file(
    State(app): State<App>,
    Path(id): Path<String>,
    Asked(asker): Asked<Asker>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let model = app.shelf.find(&id)?;
    let file_bytes = model.manifest.file_bytes;
    let (status, range) = match wanted(&headers, &model) {
        ByteRange::Whole => (StatusCode::OK, 0..file_bytes),
        ByteRange::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        ByteRange::Outside => return Ok(outside(file_bytes)),
    };
    let mut file = File::open(&model.path)
        .await
        .map_err(|_| Refusal::ModelGone)?;
    file.seek(SeekFrom::Start(range.start))
        .await
        .map_err(|_| Refusal::ModelGone)?;
    let bytes = range.end - range.start;
    let parts = ReaderStream::with_capacity(file.take(bytes), READ_BYTES);
    let counter = app.traffic.counter(asker.client);
    let mut response = (status, counted(parts, counter)).into_response();
    let content_range = format!(
        "bytes {}-{}/{file_bytes}",
        range.start,
        range.end.saturating_sub(1)
    );
    let described = [
        (CONTENT_TYPE, Some("application/octet-stream".to_owned())),
        (CONTENT_LENGTH, Some(bytes.to_string())),
        (ACCEPT_RANGES, Some("bytes".to_owned())),
        (ETAG, Some(etag(&model))),
        // Pages keep verified weights themselves: a second copy would cost a phone its memory.
        (CACHE_CONTROL, Some("no-store".to_owned())),
        (
            CONTENT_RANGE,
            (status == StatusCode::PARTIAL_CONTENT).then_some(content_range),
        ),
    ];
    for (name, value) in described {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// A range counts only for the file the client knows.
fn wanted(headers: &HeaderMap, model: &Model) -> ByteRange {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let other_file = headers.contains_key(IF_RANGE) && text(IF_RANGE) != Some(&etag(model));
    match text(RANGE) {
        Some(range) if !other_file => ByteRange::parse(range, model.manifest.file_bytes),
        _ => ByteRange::Whole,
    }
}

fn etag(model: &Model) -> String {
    format!("\"{}\"", model.id)
}

fn outside(file_bytes: u64) -> Response {
    let content_range = format!("bytes */{file_bytes}");
    let refusal = Refusal::ModelRange { file_bytes };
    ([(CONTENT_RANGE, content_range)], refusal).into_response()
}

/// A body whose bytes are counted as they leave.
fn counted<E>(
    parts: impl futures::Stream<Item = Result<Bytes, E>> + Send + 'static,
    counter: Counter,
) -> Body
where
    E: Into<axum::BoxError> + 'static,
{
    Body::from_stream(parts.inspect(move |part| {
        if let Ok(part) = part {
            counter.add(part.len());
        }
    }))
}
