//! Typed messages between our threads: one transferred buffer, and where needed values that move or are copied along.

use js_sys::{Array, Uint8Array};
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::prelude::*;
use web_sys::{DedicatedWorkerGlobalScope, MessagePort, Worker};

use crate::error::BrowserError;

/// What messages can be posted to.
pub trait Port {
    /// `postMessage(message, transfer)`.
    fn post(&self, message: &JsValue, transfer: &JsValue) -> Result<(), JsValue>;
}

impl Port for Worker {
    fn post(&self, message: &JsValue, transfer: &JsValue) -> Result<(), JsValue> {
        self.post_message_with_transfer(message, transfer)
    }
}

impl Port for MessagePort {
    fn post(&self, message: &JsValue, transfer: &JsValue) -> Result<(), JsValue> {
        self.post_message_with_transferable(message, transfer)
    }
}

impl Port for DedicatedWorkerGlobalScope {
    fn post(&self, message: &JsValue, transfer: &JsValue) -> Result<(), JsValue> {
        self.post_message_with_transfer(message, transfer)
    }
}

/// A message and the JavaScript values that came with it.
pub struct Parcel<T> {
    /// The message.
    pub message: T,
    /// Ports, channels or objects, in the order they were given.
    pub values: Vec<JsValue>,
}

/// Posts a message.
pub fn send(port: &impl Port, message: &impl Serialize) -> Result<(), BrowserError> {
    post(port, message, &[], &[])
}

/// Posts a message with values that are copied (structured clone).
pub fn send_copying(
    port: &impl Port,
    message: &impl Serialize,
    values: &[JsValue],
) -> Result<(), BrowserError> {
    post(port, message, values, &[])
}

/// Posts a message with values that move: ports, data channels.
pub fn send_moving(
    port: &impl Port,
    message: &impl Serialize,
    values: &[JsValue],
) -> Result<(), BrowserError> {
    post(port, message, values, values)
}

/// Posts a message with values that move, and behind them values that are copied: files.
pub fn send_moving_and_copying(
    port: &impl Port,
    message: &impl Serialize,
    moving: &[JsValue],
    copied: &[JsValue],
) -> Result<(), BrowserError> {
    post(port, message, &[moving, copied].concat(), moving)
}

/// Reads a message that was posted by one of these functions.
pub fn open<T: DeserializeOwned>(data: &JsValue) -> Result<Parcel<T>, BrowserError> {
    let unreadable = |detail: &str| BrowserError::Browser {
        detail: format!("a message between threads {detail}"),
    };
    let parts: &Array = data.dyn_ref().ok_or_else(|| unreadable("is no array"))?;
    let bytes: Uint8Array = parts
        .get(0)
        .dyn_into()
        .map_err(|_| unreadable("has no bytes"))?;
    let message =
        postcard::from_bytes(&bytes.to_vec()).map_err(|error| unreadable(&error.to_string()))?;
    Ok(Parcel {
        message,
        values: parts.iter().skip(1).collect(),
    })
}

fn post(
    port: &impl Port,
    message: &impl Serialize,
    values: &[JsValue],
    moving: &[JsValue],
) -> Result<(), BrowserError> {
    let bytes = postcard::to_allocvec(message).map_err(|error| BrowserError::Browser {
        detail: error.to_string(),
    })?;
    let bytes = Uint8Array::from(bytes.as_slice());
    let transfer: Array = moving.iter().cloned().collect();
    transfer.push(&bytes.buffer());
    let parts = Array::of1(&bytes);
    for value in values {
        parts.push(value);
    }
    port.post(&parts, &transfer)
        .map_err(|thrown| BrowserError::thrown(&thrown))
}
