//! Requests to the server of this page's origin, and to other sites for models.

use core::ops::Range;

use js_sys::{Function, Promise, Reflect, Uint8Array};
use serde::de::DeserializeOwned;
use session::Fault;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Headers, ReadableStream, RequestCache, RequestInit, Response};

use crate::error::BrowserError;

#[wasm_bindgen]
extern "C" {
    // Pages and workers both have it, under different types.
    #[wasm_bindgen(js_name = fetch)]
    fn global_fetch(url: &str, init: &RequestInit) -> Promise;
}

/// A GET; every status outside 200..300 is the server's fault, `{code, message, remedy}`.
pub async fn get(url: &str) -> Result<Response, Fault> {
    send(url, &RequestInit::new()).await
}

/// A POST of JSON, likewise.
pub async fn post(url: &str, body: &str, with: &[(&str, String)]) -> Result<Response, Fault> {
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_body(&JsValue::from_str(body));
    let headers = headers(with)?;
    set(&headers, "content-type", "application/json")?;
    init.set_headers(&headers.into());
    send(url, &init).await
}

/// Ends a request when it is dropped.
pub struct Open(AbortController);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A GET whose body is read as it comes, until the second value is dropped.
pub async fn open(url: &str, with: &[(&str, String)]) -> Result<(ReadableStream, Open), Fault> {
    let open = Open(AbortController::new().map_err(|thrown| BrowserError::thrown(&thrown))?);
    let init = RequestInit::new();
    init.set_headers(&headers(with)?.into());
    init.set_cache(RequestCache::NoStore);
    init.set_signal(Some(&open.0.signal()));
    let response = send(url, &init).await?;
    let body = response
        .body()
        .ok_or_else(|| BrowserError::ServerUnreachable { url: path(url) })?;
    Ok((body, open))
}

/// A GET of bytes `range` of a file.
pub async fn get_range(url: &str, range: &Range<u64>) -> Result<Response, Fault> {
    let init = RequestInit::new();
    let value = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
    init.set_headers(&headers(&[("range", value)])?.into());
    let response = send(url, &init).await?;
    // 200 would bring the whole file from its start.
    if response.status() != 206 {
        let detail = format!("status {} to a range request", response.status());
        return Err(BrowserError::ServerAnswer {
            url: url.to_owned(),
            detail,
        }
        .into());
    }
    Ok(response)
}

/// Bytes `range` of a file, and how long the whole file is, where the answer says so.
pub async fn bytes(url: &str, range: &Range<u64>) -> Result<(Vec<u8>, Option<u64>), Fault> {
    let response = get_range(url, range).await?;
    let total = response.headers().get("content-range").ok().flatten();
    let total = total.and_then(|said| said.rsplit('/').next()?.parse().ok());
    let body = async { JsFuture::from(response.array_buffer()?).await }.await;
    let body = body.map_err(|_| BrowserError::ServerUnreachable { url: path(url) })?;
    Ok((Uint8Array::new(&body).to_vec(), total))
}

/// A whole file of at most `most_bytes`.
pub async fn whole(url: &str, most_bytes: u64) -> Result<Vec<u8>, Fault> {
    let response = get(url).await?;
    let said = response.headers().get("content-length").ok().flatten();
    let said_bytes: u64 = said.and_then(|said| said.parse().ok()).unwrap_or(0);
    let body = async { JsFuture::from(response.array_buffer()?).await };
    let body = match said_bytes > most_bytes {
        true => None,
        false => Some(
            body.await
                .map_err(|_| BrowserError::ServerUnreachable { url: path(url) })?,
        ),
    };
    let body = body.map(|body| Uint8Array::new(&body));
    match body.filter(|body| u64::from(body.length()) <= most_bytes) {
        Some(body) => Ok(body.to_vec()),
        None => Err(BrowserError::ServerAnswer {
            url: path(url),
            detail: format!("the file has more than {most_bytes} bytes"),
        }
        .into()),
    }
}

/// The body as JSON.
pub async fn json<T: DeserializeOwned>(response: &Response, url: &str) -> Result<T, Fault> {
    let answer = |detail: String| BrowserError::ServerAnswer {
        url: url.to_owned(),
        detail,
    };
    let text = async { JsFuture::from(response.text()?).await }.await;
    let text = text.map_err(|_| BrowserError::ServerUnreachable {
        url: url.to_owned(),
    })?;
    let text = text.as_string().unwrap_or_default();
    serde_json::from_str(&text).map_err(|error| answer(error.to_string()).into())
}

async fn send(url: &str, init: &RequestInit) -> Result<Response, Fault> {
    let unreachable = |_| BrowserError::ServerUnreachable { url: path(url) };
    let response = JsFuture::from(global_fetch(url, init))
        .await
        .map_err(unreachable)?;
    let response: Response = response.unchecked_into();
    if response.ok() {
        return Ok(response);
    }
    let status = response.status();
    let said = json::<Fault>(&response, url).await;
    Err(said.unwrap_or_else(|_| foreign(url, status).into()))
}

/// A refusal in words that are not our server's.
fn foreign(url: &str, status: u16) -> BrowserError {
    let url = path(url);
    match status {
        429 | 500.. => BrowserError::ServerFailed { url, status },
        _ => BrowserError::ServerAnswer {
            url,
            detail: format!("status {status}"),
        },
    }
}

/// Without the query, which may carry a seat's key.
fn path(url: &str) -> String {
    url.split('?').next().unwrap_or_default().to_owned()
}

fn headers(pairs: &[(&str, String)]) -> Result<Headers, BrowserError> {
    let headers = Headers::new().map_err(|thrown| BrowserError::thrown(&thrown))?;
    for (name, value) in pairs {
        set(&headers, name, value)?;
    }
    Ok(headers)
}

fn set(headers: &Headers, name: &str, value: &str) -> Result<(), BrowserError> {
    let set = headers.set(name, value);
    set.map_err(|thrown| BrowserError::thrown(&thrown))
}

/// Whether this thread has a function of that name (a constructor, `fetch`, ...).
pub fn has_global(name: &str) -> bool {
    Reflect::get(&js_sys::global(), &JsValue::from_str(name))
        .is_ok_and(|value| value.is_instance_of::<Function>())
}
