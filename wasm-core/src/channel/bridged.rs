//! The worker's end of a bridge: a port in place of a data channel that the browser could not move here.

use std::cell::Cell;

use js_sys::{Array, ArrayBuffer, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{MessageEvent, MessagePort};

/// What the bridge on the main thread tells.
pub enum FromBridge {
    /// The channel opened.
    Open,
    /// The channel closed.
    Closed,
    /// A message arrived.
    Message(Vec<u8>),
    /// So many bytes left the browser's buffer.
    Sent(u32),
}

/// The word for an opened channel on the port.
pub const OPEN: &str = "open";
/// The word for a closed channel on the port.
pub const CLOSED: &str = "closed";

impl FromBridge {
    /// Reads what was posted.
    pub fn read(data: &JsValue) -> Option<Self> {
        if let Some(buffer) = data.dyn_ref::<ArrayBuffer>() {
            return Some(Self::Message(Uint8Array::new(buffer).to_vec()));
        }
        if let Some(bytes) = data.as_f64() {
            return Some(Self::Sent(bytes as u32));
        }
        match data.as_string()?.as_str() {
            OPEN => Some(Self::Open),
            CLOSED => Some(Self::Closed),
            _ => None,
        }
    }
}

/// The port, and what is on its way through it.
pub struct BridgedPort {
    port: MessagePort,
    buffered_bytes: Cell<u32>,
}

impl BridgedPort {
    /// A port whose other end is a bridge.
    pub fn new(port: MessagePort) -> Self {
        Self {
            port,
            buffered_bytes: Cell::new(0),
        }
    }

    /// Bytes handed over and not yet told to have been sent.
    pub fn buffered_bytes(&self) -> u32 {
        self.buffered_bytes.get()
    }

    /// Takes the bridge's word that so many bytes were sent.
    pub fn note_sent(&self, bytes: u32) {
        self.buffered_bytes
            .set(self.buffered_bytes.get().saturating_sub(bytes));
    }

    /// Hands bytes to the bridge.
    pub fn send(&self, bytes: &[u8]) -> Result<(), JsValue> {
        let copy = Uint8Array::from(bytes).buffer();
        self.port
            .post_message_with_transferable(&copy, &Array::of1(&copy))?;
        self.buffered_bytes.set(
            self.buffered_bytes
                .get()
                .saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX)),
        );
        Ok(())
    }

    /// Starts delivery.
    pub fn listen(&self, on_message: &Closure<dyn FnMut(MessageEvent)>) {
        self.port
            .set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    }

    /// Tells the bridge to close its channel.
    pub fn close(&self) {
        self.port.set_onmessage(None);
        // A bridge that is gone has closed already.
        let _ = self.port.post_message(&CLOSED.into());
        self.port.close();
    }
}
