//! What this browser can do, looked at where it will be done: WebGPU is probed inside a worker.

use std::{cell::RefCell, rc::Rc};

use futures::channel::oneshot;
use js_sys::{Promise, Reflect};
use serde::{Deserialize, Serialize};
use session::Fault;
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;

use crate::{
    error::{self, BrowserError},
    http::has_global,
    ports,
    threads::{self, FromWorker, Role, Thread, scope, worker_url},
    value,
};

/// Bytes a page offers unless it says otherwise: what browsers on phones with 4 GB give one tab without trouble.
pub const DEFAULT_BUDGET_BYTES: u64 = 1 << 30;

/// What the embedding page shows before someone joins.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Capabilities {
    secure_context: bool,
    data_channels: bool,
    opfs: bool,
    webgpu: bool,
    adapter: Option<String>,
    fallback_adapter: bool,
    cpu: String,
    default_budget_bytes: u64,
    /// Why this page cannot take part, or, with code `browser.no_webgpu`, why only its CPU can.
    fault: Option<Fault>,
}

/// What a worker found.
#[derive(Debug, Serialize, Deserialize)]
struct Probed {
    opfs: bool,
    adapter: Result<Adapter, String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Adapter {
    name: String,
    fallback: bool,
}

/// What this browser can do. Resolves with `{secureContext, dataChannels, opfs, webgpu, adapter, fallbackAdapter, cpu, defaultBudgetBytes, fault}`.
#[wasm_bindgen]
pub async fn capabilities(worker_script: Option<String>) -> Result<JsValue, JsValue> {
    let found = look(worker_script.as_deref())
        .await
        .map_err(|error| error::to_js(&error.into()))?;
    value::to_js(&found).map_err(|error| error::to_js(&error.into()))
}

/// Whether this device's downloads cost: its owner asked the browser to save data, or it says that it is on a mobile network
/// (Network Information API: Chromium only).
pub fn is_metered() -> bool {
    let connection =
        web_sys::window().and_then(|window| property(&window.navigator(), "connection"));
    let Some(connection) = connection else {
        return false;
    };
    let says = |name: &str| property(&connection, name);
    says("saveData").and_then(|value| value.as_bool()) == Some(true)
        || says("type").and_then(|value| value.as_string()).as_deref() == Some("cellular")
}

async fn look(script: Option<&str>) -> Result<Capabilities, BrowserError> {
    let window = web_sys::window().ok_or_else(|| BrowserError::Misuse {
        detail: "capabilities are asked for on the main thread".to_owned(),
    })?;
    let secure_context = window.is_secure_context();
    let data_channels = has_global("RTCPeerConnection") && has_global("RTCDataChannel");
    let probed = probe(script).await?;
    let fault = match &probed.adapter {
        _ if !secure_context => Some(BrowserError::InsecureContext),
        _ if !data_channels => Some(BrowserError::NoWebRtc),
        Err(detail) => Some(BrowserError::NoWebGpu {
            detail: detail.clone(),
        }),
        Ok(_) => None,
    };
    let threads = window.navigator().hardware_concurrency();
    let (adapter, fallback_adapter) = probed.adapter.map_or((None, false), |adapter| {
        (Some(adapter.name), adapter.fallback)
    });
    Ok(Capabilities {
        secure_context,
        data_channels,
        opfs: probed.opfs,
        webgpu: adapter.is_some(),
        adapter,
        fallback_adapter,
        cpu: format!("{threads} cores, SIMD"),
        default_budget_bytes: DEFAULT_BUDGET_BYTES,
        fault: fault.map(Fault::from),
    })
}

async fn probe(script: Option<&str>) -> Result<Probed, BrowserError> {
    let (done, found) = oneshot::channel();
    let done = Rc::new(RefCell::new(Some(done)));
    let _thread = Thread::start(
        &worker_url(script)?,
        Role::Probe,
        move |from: FromWorker<Probed>| {
            if let Some(done) = done.take() {
                // Nobody waits any more: the page went away.
                let _ = done.send(match from {
                    FromWorker::Message(parcel) => Ok(parcel.message),
                    FromWorker::Died(error) => Err(error),
                });
            }
        },
    )?;
    found.await.map_err(|_| BrowserError::Worker {
        detail: "the probe ended without an answer".to_owned(),
    })?
}

/// The probe's thread.
pub fn run_probe() {
    wasm_bindgen_futures::spawn_local(async {
        let navigator: JsValue = scope().navigator().into();
        let opfs = property(&navigator, "storage")
            .is_some_and(|storage| property(&storage, "getDirectory").is_some())
            && has_global("FileSystemFileHandle");
        let probed = Probed {
            opfs,
            adapter: adapter(&navigator).await,
        };
        if let Err(error) = ports::send(&scope(), &probed) {
            threads::report(&error.to_string());
        }
    });
}

async fn adapter(navigator: &JsValue) -> Result<Adapter, String> {
    let gpu = property(navigator, "gpu").ok_or("WebGPU is missing or switched off")?;
    let request: js_sys::Function = property(&gpu, "requestAdapter")
        .ok_or("WebGPU is incomplete")?
        .unchecked_into();
    let promise: Promise = request
        .call0(&gpu)
        .map_err(|thrown| error::words(&thrown))?
        .unchecked_into();
    let adapter = JsFuture::from(promise)
        .await
        .map_err(|thrown| error::words(&thrown))?;
    if adapter.is_null() {
        return Err("it gives this page no GPU".to_owned());
    }
    let info = property(&adapter, "info").unwrap_or(JsValue::UNDEFINED);
    let words: Vec<String> = ["vendor", "architecture", "device", "description"]
        .into_iter()
        .filter_map(|key| property(&info, key)?.as_string())
        .filter(|word| !word.is_empty())
        .collect();
    let flag =
        |object: &JsValue| property(object, "isFallbackAdapter").and_then(|flag| flag.as_bool());
    Ok(Adapter {
        name: words.join(" "),
        fallback: flag(&info).or_else(|| flag(&adapter)).unwrap_or(false),
    })
}

fn property(object: &JsValue, key: &str) -> Option<JsValue> {
    let value = Reflect::get(object, &JsValue::from_str(key)).ok()?;
    (!value.is_undefined() && !value.is_null()).then_some(value)
}
