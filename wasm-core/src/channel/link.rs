//! One data channel of one member, in the session worker.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use futures::channel::oneshot;
use wasm_bindgen::prelude::*;
use web_sys::{MessageEvent, RtcDataChannel, RtcDataChannelState, RtcDataChannelType};

use super::{
    HIGH_WATER_BYTES, LOW_WATER_BYTES,
    bridged::{BridgedPort, FromBridge},
};

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

/// The channel can send no more.
#[derive(Debug)]
pub struct LinkDown;

/// A data channel with a bounded browser buffer; dropping it closes it.
pub struct Link {
    outbox: Rc<Outbox>,
    _listeners: Listeners,
}

/// Callbacks that live as long as the link.
#[expect(dead_code, reason = "held for the browser, which calls them")]
enum Listeners {
    Channel {
        on_open: Closure<dyn FnMut()>,
        on_message: Closure<dyn FnMut(MessageEvent)>,
        on_close: Closure<dyn FnMut()>,
        on_low: Closure<dyn FnMut()>,
    },
    Bridged(Closure<dyn FnMut(MessageEvent)>),
}

impl Link {
    /// Takes over what was just transferred here: the channel itself, or, from browsers that cannot move channels, the port of a
    /// bridge on the main thread. `None` for anything else.
    pub fn new(carrier: JsValue, tell: impl Fn(LinkEvent) + 'static) -> Option<Self> {
        let tell = Rc::new(tell);
        match carrier.dyn_into::<RtcDataChannel>() {
            Ok(channel) => Some(Self::of_channel(channel, tell)),
            Err(other) => Some(Self::of_bridge(
                BridgedPort::new(other.dyn_into().ok()?),
                tell,
            )),
        }
    }

    fn of_channel(channel: RtcDataChannel, tell: Rc<impl Fn(LinkEvent) + 'static>) -> Self {
        channel.set_binary_type(RtcDataChannelType::Arraybuffer);
        channel.set_buffered_amount_low_threshold(LOW_WATER_BYTES);
        let outbox = Rc::new(Outbox::new(Carrier::Channel(channel.clone())));

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
            let (outbox, tell) = (Rc::clone(&outbox), Rc::clone(&tell));
            move || {
                outbox.close();
                tell(LinkEvent::Closed);
            }
        });
        let on_low = Closure::<dyn FnMut()>::new({
            let (outbox, tell) = (Rc::clone(&outbox), Rc::clone(&tell));
            move || {
                if outbox.flush().is_err() {
                    tell(LinkEvent::Closed);
                }
            }
        });
        channel.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        channel.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        channel.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        channel.set_onbufferedamountlow(Some(on_low.as_ref().unchecked_ref()));
        // The events of a channel that opened or closed on its way here are past.
        match channel.ready_state() {
            RtcDataChannelState::Open => tell(LinkEvent::Open),
            RtcDataChannelState::Closed => tell(LinkEvent::Closed),
            _ => {}
        }
        Self {
            outbox,
            _listeners: Listeners::Channel {
                on_open,
                on_message,
                on_close,
                on_low,
            },
        }
    }

    fn of_bridge(port: BridgedPort, tell: Rc<impl Fn(LinkEvent) + 'static>) -> Self {
        let outbox = Rc::new(Outbox::new(Carrier::Bridged(port)));
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new({
            let outbox = Rc::clone(&outbox);
            move |event: MessageEvent| match FromBridge::read(&event.data()) {
                Some(FromBridge::Open) => tell(LinkEvent::Open),
                Some(FromBridge::Closed) => {
                    outbox.close();
                    tell(LinkEvent::Closed);
                }
                Some(FromBridge::Message(bytes)) => tell(LinkEvent::Message(bytes)),
                Some(FromBridge::Sent(bytes)) => match outbox.sent(bytes) {
                    Ok(()) => {}
                    Err(LinkDown) => tell(LinkEvent::Closed),
                },
                None => {}
            }
        });
        if let Carrier::Bridged(port) = &outbox.carrier {
            port.listen(&on_message);
        }
        Self {
            outbox,
            _listeners: Listeners::Bridged(on_message),
        }
    }

    /// Sends, or queues where the browser's buffer is full.
    ///
    /// # Errors
    /// The channel is closed or hopelessly behind.
    pub fn send(&self, bytes: Vec<u8>) -> Result<(), LinkDown> {
        self.outbox.push(bytes)
    }

    /// Waits until the browser took everything over that was sent, so that a long answer is not held here.
    ///
    /// # Errors
    /// The channel closed meanwhile.
    pub async fn flushed(&self) -> Result<(), LinkDown> {
        let Some(flushed) = self.outbox.flushed() else {
            return Ok(());
        };
        flushed.await.map_err(|_| LinkDown)
    }

    /// Whoever waits for it to be flushed waits in vain.
    pub fn close(&self) {
        self.outbox.close();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        match &self.outbox.carrier {
            Carrier::Channel(channel) => {
                channel.set_onopen(None);
                channel.set_onmessage(None);
                channel.set_onclose(None);
                channel.set_onbufferedamountlow(None);
                channel.close();
            }
            Carrier::Bridged(port) => port.close(),
        }
    }
}

enum Carrier {
    Channel(RtcDataChannel),
    Bridged(BridgedPort),
}

impl Carrier {
    /// Bytes handed over and not yet on their way.
    fn buffered_bytes(&self) -> u32 {
        match self {
            Self::Channel(channel) => channel.buffered_amount(),
            Self::Bridged(port) => port.buffered_bytes(),
        }
    }

    fn send(&self, bytes: &[u8]) -> Result<(), LinkDown> {
        match self {
            Self::Channel(channel) => channel.send_with_u8_array(bytes),
            Self::Bridged(port) => port.send(bytes),
        }
        .map_err(|_| LinkDown)
    }
}

/// Messages that wait until the browser's buffer has room.
struct Outbox {
    carrier: Carrier,
    waiting: RefCell<Waiting>,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<Vec<u8>>,
    bytes: usize,
    flushed: Vec<oneshot::Sender<()>>,
}

impl Outbox {
    fn new(carrier: Carrier) -> Self {
        Self {
            carrier,
            waiting: RefCell::default(),
        }
    }

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
        while self.carrier.buffered_bytes() < HIGH_WATER_BYTES {
            let Some(bytes) = waiting.messages.pop_front() else {
                break;
            };
            waiting.bytes -= bytes.len();
            self.carrier.send(&bytes)?;
        }
        if waiting.messages.is_empty() {
            for flushed in waiting.flushed.drain(..) {
                // Nobody waits any more.
                let _ = flushed.send(());
            }
        }
        Ok(())
    }

    /// Told when nothing waits any more; `None` if nothing does.
    fn flushed(&self) -> Option<oneshot::Receiver<()>> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.messages.is_empty() {
            return None;
        }
        let (done, flushed) = oneshot::channel();
        waiting.flushed.push(done);
        Some(flushed)
    }

    fn close(&self) {
        self.waiting.borrow_mut().flushed.clear();
    }

    /// The bridge sent so many bytes.
    fn sent(&self, bytes: u32) -> Result<(), LinkDown> {
        if let Carrier::Bridged(port) = &self.carrier {
            port.note_sent(bytes);
        }
        self.flush()
    }
}
