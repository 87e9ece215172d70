//! For browsers that cannot move data channels to a worker: the channel stays on the main thread, its bytes go over a port.

use std::{cell::Cell, rc::Rc};

use js_sys::{Array, ArrayBuffer};
use wasm_bindgen::prelude::*;
use web_sys::{MessageChannel, MessageEvent, MessagePort, RtcDataChannel};

use super::{
    LOW_WATER_BYTES,
    bridged::{CLOSED, OPEN},
};
use crate::error::BrowserError;

/// The main thread's end; lives as long as its connection.
#[expect(dead_code, reason = "held for the browser, which calls them")]
pub struct Bridge {
    on_open: Closure<dyn FnMut()>,
    on_close: Closure<dyn FnMut()>,
    on_message: Closure<dyn FnMut(MessageEvent)>,
    on_low: Closure<dyn FnMut()>,
    on_post: Closure<dyn FnMut(MessageEvent)>,
}

impl Bridge {
    /// Joins a channel to a port; returns the port's other end, for the worker.
    pub fn new(channel: RtcDataChannel) -> Result<(Self, MessagePort), BrowserError> {
        let ports = MessageChannel::new().map_err(|thrown| BrowserError::thrown(&thrown))?;
        let port = ports.port1();
        channel.set_buffered_amount_low_threshold(LOW_WATER_BYTES);
        let sender = Rc::new(Sender {
            channel: channel.clone(),
            port: port.clone(),
            unreported_bytes: Cell::new(0),
        });

        let word = |word: &'static str| {
            let port = port.clone();
            // A worker that is gone needs no word.
            Closure::<dyn FnMut()>::new(move || drop(port.post_message(&word.into())))
        };
        let (on_open, on_close) = (word(OPEN), word(CLOSED));
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new({
            let port = port.clone();
            move |event: MessageEvent| {
                let data = event.data();
                drop(port.post_message_with_transferable(&data, &Array::of1(&data)));
            }
        });
        let on_low = Closure::<dyn FnMut()>::new({
            let sender = Rc::clone(&sender);
            move || sender.report()
        });
        let on_post = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            sender.take(event.data())
        });
        channel.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        channel.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        channel.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        channel.set_onbufferedamountlow(Some(on_low.as_ref().unchecked_ref()));
        port.set_onmessage(Some(on_post.as_ref().unchecked_ref()));
        Ok((
            Self {
                on_open,
                on_close,
                on_message,
                on_low,
                on_post,
            },
            ports.port2(),
        ))
    }
}

struct Sender {
    channel: RtcDataChannel,
    port: MessagePort,
    unreported_bytes: Cell<u32>,
}

impl Sender {
    /// Bytes to send, or the word that the worker is done with this channel.
    fn take(&self, data: JsValue) {
        let Ok(buffer) = data.dyn_into::<ArrayBuffer>() else {
            return self.channel.close();
        };
        if self.channel.send_with_array_buffer(&buffer).is_err() {
            drop(self.port.post_message(&CLOSED.into()));
            return;
        }
        self.unreported_bytes.set(
            self.unreported_bytes
                .get()
                .saturating_add(buffer.byte_length()),
        );
        if self.channel.buffered_amount() <= LOW_WATER_BYTES {
            self.report();
        }
    }

    fn report(&self) {
        drop(self.port.post_message(&self.unreported_bytes.take().into()));
    }
}
