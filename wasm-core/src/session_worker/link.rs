//! One data channel of one member, in the session worker.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use wasm_bindgen::prelude::*;
use web_sys::{MessageEvent, RtcDataChannel, RtcDataChannelState, RtcDataChannelType};

/// Bytes the browser may hold unsent; more waits here. Keeps a slow link from filling the browser's buffer (16 MiB, then it closes).
const HIGH_WATER_BYTES: u32 = 256 << 10;
/// Sending goes on when the browser holds no more than this.
const LOW_WATER_BYTES: u32 = 64 << 10;
/// A link that keeps so much waiting is as good as dead.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// What a link tells.
#[derive(Debug)]
pub enum LinkEvent {
    /// It can send and receive.
    Open,
    /// A message arrived.
    Message(Vec<u8>),
    /// It is closed, or failed, for good.
    Closed,
}

/// A data channel with a bounded browser buffer; dropping it closes it.
pub struct Link {
    outbox: Rc<Outbox>,
    _on_open: Closure<dyn FnMut()>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_close: Closure<dyn FnMut()>,
    _on_low: Closure<dyn FnMut()>,
}

impl Link {
    /// Takes over a channel that was just transferred here.
    pub fn new(channel: RtcDataChannel, tell: impl Fn(LinkEvent) + 'static) -> Self {
        channel.set_binary_type(RtcDataChannelType::Arraybuffer);
        channel.set_buffered_amount_low_threshold(LOW_WATER_BYTES);
        let tell = Rc::new(tell);
        let outbox = Rc::new(Outbox {
            channel,
            waiting: RefCell::default(),
        });

        let on_open = Closure::<dyn FnMut()>::new({
            let tell = Rc::clone(&tell);
            move || tell(LinkEvent::Open)
        });
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new({
            let tell = Rc::clone(&tell);
            move |event: MessageEvent| {
                // Our side never sends text.
                if let Ok(buffer) = event.data().dyn_into::<js_sys::ArrayBuffer>() {
                    tell(LinkEvent::Message(
                        js_sys::Uint8Array::new(&buffer).to_vec(),
                    ));
                }
            }
        });
        let on_close = Closure::<dyn FnMut()>::new({
            let tell = Rc::clone(&tell);
            move || tell(LinkEvent::Closed)
        });
        let on_low = Closure::<dyn FnMut()>::new({
            let (outbox, tell) = (Rc::clone(&outbox), Rc::clone(&tell));
            move || {
                if outbox.flush().is_err() {
                    tell(LinkEvent::Closed);
                }
            }
        });
        let raw = &outbox.channel;
        raw.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        raw.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        raw.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        raw.set_onbufferedamountlow(Some(on_low.as_ref().unchecked_ref()));
        // The events of a channel that opened or closed on its way here are past.
        match raw.ready_state() {
            RtcDataChannelState::Open => tell(LinkEvent::Open),
            RtcDataChannelState::Closed => tell(LinkEvent::Closed),
            _ => {}
        }
        Self {
            outbox,
            _on_open: on_open,
            _on_message: on_message,
            _on_close: on_close,
            _on_low: on_low,
        }
    }

    /// Sends, or queues where the browser's buffer is full.
    ///
    /// # Errors
    /// The channel is closed or hopelessly behind.
    pub fn send(&self, bytes: Vec<u8>) -> Result<(), LinkDown> {
        self.outbox.push(bytes)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let raw = &self.outbox.channel;
        raw.set_onopen(None);
        raw.set_onmessage(None);
        raw.set_onclose(None);
        raw.set_onbufferedamountlow(None);
        raw.close();
    }
}

/// The channel can send no more.
#[derive(Debug)]
pub struct LinkDown;

struct Outbox {
    channel: RtcDataChannel,
    waiting: RefCell<Waiting>,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Outbox {
    fn push(&self, bytes: Vec<u8>) -> Result<(), LinkDown> {
        {
            let mut waiting = self.waiting.borrow_mut();
            waiting.bytes += bytes.len();
            waiting.messages.push_back(bytes);
            if waiting.bytes > MAX_WAITING_BYTES {
                return Err(LinkDown);
            }
        }
        self.flush()
    }

    /// Hands over what fits.
    fn flush(&self) -> Result<(), LinkDown> {
        let mut waiting = self.waiting.borrow_mut();
        while self.channel.buffered_amount() < HIGH_WATER_BYTES {
            let Some(bytes) = waiting.messages.pop_front() else {
                break;
            };
            waiting.bytes -= bytes.len();
            self.channel
                .send_with_u8_array(&bytes)
                .map_err(|_| LinkDown)?;
        }
        Ok(())
    }
}
