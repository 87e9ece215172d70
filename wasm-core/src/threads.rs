//! Starting our workers: one compiled module, three threads.

use futures::channel::mpsc;
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::prelude::*;
use web_sys::{
    DedicatedWorkerGlobalScope, ErrorEvent, MessageEvent, MessagePort, Worker, WorkerOptions,
    WorkerType,
};

use crate::{
    capability, engine_worker,
    error::{BrowserError, words},
    ports::{self, Parcel},
    session_worker,
};

/// What a worker is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Session machine, timers, data channels.
    Session,
    /// Weights and compute.
    Engine,
    /// Looks what this browser's workers can do, says it, and is done.
    Probe,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Engine => "engine",
            Self::Probe => "probe",
        }
    }
}

#[wasm_bindgen]
extern "C" {
    type ImportMeta;
    #[wasm_bindgen(method, getter)]
    fn url(this: &ImportMeta) -> String;
    #[wasm_bindgen(thread_local_v2, js_namespace = import, js_name = meta)]
    static IMPORT_META: ImportMeta;
}

/// Address of the worker script: beside this module's script unless the page says otherwise.
pub fn worker_url(given: Option<&str>) -> Result<String, BrowserError> {
    match given {
        Some(url) => Ok(url.to_owned()),
        None => IMPORT_META.with(|meta| {
            web_sys::Url::new_with_base("worker.js", &meta.url())
                .map(|url| url.href())
                .map_err(|thrown| BrowserError::thrown(&thrown))
        }),
    }
}

/// What reaches the page from a worker.
pub enum FromWorker<T> {
    /// A message.
    Message(Parcel<T>),
    /// It crashed or never started.
    Died(BrowserError),
}

/// A worker of ours; dropping it ends it.
pub struct Thread {
    worker: Worker,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(ErrorEvent)>,
}

impl Thread {
    /// Starts a worker and gives it the compiled module.
    pub fn start<T: DeserializeOwned + 'static>(
        script: &str,
        role: Role,
        tell: impl Fn(FromWorker<T>) + Clone + 'static,
    ) -> Result<Self, BrowserError> {
        let refused = |thrown: JsValue| BrowserError::Worker {
            detail: words(&thrown),
        };
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        options.set_name(role.name());
        let worker = Worker::new_with_options(script, &options).map_err(refused)?;
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new({
            let tell = tell.clone();
            move |event: MessageEvent| {
                let data = event.data();
                // A worker that panics can only send words.
                tell(match data.as_string() {
                    Some(detail) => FromWorker::Died(BrowserError::Panic { detail }),
                    None => ports::open(&data).map_or_else(FromWorker::Died, FromWorker::Message),
                });
            }
        });
        let on_error = Closure::<dyn FnMut(ErrorEvent)>::new(move |event: ErrorEvent| {
            // A script that cannot be loaded reports an event without a message.
            let detail = js_sys::Reflect::get(&event, &"message".into())
                .ok()
                .and_then(|message| message.as_string());
            tell(FromWorker::Died(BrowserError::Worker {
                detail: detail
                    .unwrap_or_else(|| format!("the {} script did not load", role.name())),
            }));
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        let first = js_sys::Object::new();
        for (key, value) in [
            ("module", wasm_bindgen::module()),
            ("role", role.name().into()),
        ] {
            js_sys::Reflect::set(&first, &key.into(), &value).map_err(refused)?;
        }
        worker.post_message(&first).map_err(refused)?;
        Ok(Self {
            worker,
            _on_message: on_message,
            _on_error: on_error,
        })
    }

    /// Posts a message.
    pub fn send(&self, message: &impl Serialize) -> Result<(), BrowserError> {
        ports::send(&self.worker, message)
    }

    /// Posts a message with values that move.
    pub fn send_moving(
        &self,
        message: &impl Serialize,
        values: &[JsValue],
    ) -> Result<(), BrowserError> {
        ports::send_moving(&self.worker, message, values)
    }

    /// Posts a message with values that move, and behind them values that are copied.
    pub fn send_moving_and_copying(
        &self,
        message: &impl Serialize,
        moving: &[JsValue],
        copied: &[JsValue],
    ) -> Result<(), BrowserError> {
        ports::send_moving_and_copying(&self.worker, message, moving, copied)
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.worker.set_onmessage(None);
        self.worker.set_onerror(None);
        self.worker.terminate();
    }
}

/// Entry of every worker; called by the worker script once the module is instantiated.
#[wasm_bindgen]
pub fn run_worker(role: &str) {
    report_panics();
    match role {
        "session" => session_worker::run(),
        "engine" => engine_worker::run(),
        "probe" => capability::run_probe(),
        other => report(&format!("no worker has the role {other}")),
    }
}

/// Sends panics to the page as words, before the trap.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| report(&panic.to_string())));
}

/// Tells the page that this worker is broken.
pub fn report(words: &str) {
    // With nobody left to tell, the browser's console has it from the trap.
    let _ = scope().post_message(&JsValue::from_str(words));
}

/// This worker's global scope.
pub fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Everything posted to this worker, typed; unreadable messages go to `unreadable`.
pub fn inbox<T: DeserializeOwned + 'static>() -> (mpsc::UnboundedReceiver<Parcel<T>>, Listening) {
    let (to_reader, messages) = mpsc::unbounded();
    let on_message = listener(move |parcel| drop(to_reader.unbounded_send(parcel)));
    scope().set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    (
        messages,
        Listening {
            _on_message: on_message,
        },
    )
}

/// Keeps a port or scope listening.
pub struct Listening {
    _on_message: Closure<dyn FnMut(MessageEvent)>,
}

/// Listens on a port that was transferred here.
pub fn listen<T: DeserializeOwned + 'static>(
    port: &MessagePort,
    tell: impl Fn(Parcel<T>) + 'static,
) -> Listening {
    let on_message = listener(tell);
    port.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    Listening {
        _on_message: on_message,
    }
}

fn listener<T: DeserializeOwned + 'static>(
    tell: impl Fn(Parcel<T>) + 'static,
) -> Closure<dyn FnMut(MessageEvent)> {
    Closure::new(
        move |event: MessageEvent| match ports::open(&event.data()) {
            Ok(parcel) => tell(parcel),
            Err(error) => report(&error.to_string()),
        },
    )
}
