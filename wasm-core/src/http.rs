//! Requests to the server of this page's origin.

use core::ops::Range;

use js_sys::{Function, Promise, Reflect};
use serde::de::DeserializeOwned;
use session::Fault;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Headers, RequestInit, Response};

use crate::error::BrowserError;

#[wasm_bindgen]
extern "C" {
    // Pages and workers both have it, under different types.
    #[wasm_bindgen(js_name = fetch)]
    fn global_fetch(url: &str, init: &RequestInit) -> Promise;
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Changes something; the body is JSON.
    Post,
}

/// A request; every status outside 200..300 is the server's fault, `{code, message, remedy}`.
pub async fn request(method: Method, url: &str, body: Option<&str>) -> Result<Response, Fault> {
    let init = RequestInit::new();
    init.set_method(match method {
        Method::Get => "GET",
        Method::Post => "POST",
    });
    if let Some(body) = body {
        init.set_body(&JsValue::from_str(body));
        init.set_headers(&headers(&[("content-type", "application/json")])?.into());
    }
    send(url, &init).await
}

/// A GET of bytes `range` of a file.
pub async fn get_range(url: &str, range: &Range<u64>) -> Result<Response, Fault> {
    let init = RequestInit::new();
    let value = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
    init.set_headers(&headers(&[("range", &value)])?.into());
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
    let foreign = |_| {
        Fault::from(BrowserError::ServerAnswer {
            url: path(url),
            detail: format!("status {status}"),
        })
    };
    Err(json::<Fault>(&response, url).await.unwrap_or_else(foreign))
}

/// Without the query, which may carry a seat's key.
fn path(url: &str) -> String {
    url.split('?').next().unwrap_or_default().to_owned()
}

fn headers(pairs: &[(&str, &str)]) -> Result<Headers, Fault> {
    let build = || {
        let headers = Headers::new()?;
        for (name, value) in pairs {
            headers.set(name, value)?;
        }
        Ok(headers)
    };
    build().map_err(|thrown: JsValue| BrowserError::thrown(&thrown).into())
}

/// Whether this thread has a function of that name (a constructor, `fetch`, ...).
pub fn has_global(name: &str) -> bool {
    Reflect::get(&js_sys::global(), &JsValue::from_str(name))
        .is_ok_and(|value| value.is_instance_of::<Function>())
}
