//! In a page: two peer connections of our own, each with a channel handed to a worker that runs our wasm.
#![cfg(target_arch = "wasm32")]
// Helpers of tests say what they expect by panicking, too.
#![allow(clippy::unwrap_used, clippy::panic)]

use futures::{StreamExt, channel::mpsc};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use wasm_core::channel::{
    bridge::Bridge,
    connection::Connection,
    link::{Link, LinkEvent},
};
use web_sys::{
    Blob, BlobPropertyBag, DedicatedWorkerGlobalScope, MessageEvent, RtcDataChannel, Url, Worker,
    WorkerOptions, WorkerType,
};

wasm_bindgen_test_configure!(run_in_browser);

/// Enough to fill the buffer that a link allows the browser several times.
const MESSAGES: u32 = 400;
const MESSAGE_BYTES: usize = 4096;

fn question(number: u32) -> Vec<u8> {
    (0..MESSAGE_BYTES)
        .map(|i| (i as u32 * 7 + number) as u8)
        .collect()
}

/// What the second worker answers: the same bytes, backwards.
fn reply(message: &[u8]) -> Vec<u8> {
    message.iter().rev().copied().collect()
}

/// Runs in each worker: `[role, channel or port, module]`. "ask" sends all questions at once and reports how many right answers came in
/// order; "reply" answers. Both report the end of the channel.
#[wasm_bindgen]
pub fn link_worker(parts: js_sys::Array) {
    let asks = parts.get(0) == "ask";
    let (to_loop, mut events) = mpsc::unbounded();
    let link = Link::new(parts.get(1), move |event| {
        to_loop.unbounded_send(event).unwrap();
    })
    .unwrap();
    wasm_bindgen_futures::spawn_local(async move {
        let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
        let mut answered = 0;
        while let Some(event) = events.next().await {
            match event {
                LinkEvent::Open if asks => {
                    (0..MESSAGES).for_each(|number| link.send(question(number)).unwrap());
                }
                LinkEvent::Open => {}
                LinkEvent::Message(bytes) if asks => {
                    assert_eq!(bytes, reply(&question(answered)));
                    answered += 1;
                    if answered == MESSAGES {
                        scope.post_message(&answered.into()).unwrap();
                    }
                }
                LinkEvent::Message(bytes) => link.send(reply(&bytes)).unwrap(),
                LinkEvent::Closed => scope.post_message(&"closed".into()).unwrap(),
            }
        }
    });
}

struct TestWorker {
    worker: Worker,
    messages: mpsc::UnboundedReceiver<JsValue>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
}

impl TestWorker {
    /// Starts a worker on this test's own module; `carrier` moves there at once.
    fn start(role: &str, carrier: &JsValue) -> Self {
        let origin = web_sys::window().unwrap().location().origin().unwrap();
        let script = format!(
            "import {{ initSync, link_worker }} from '{origin}/wasm-bindgen-test.js';
             self.onmessage = ({{ data }}) => {{
                 self.onmessage = null;
                 initSync({{ module: data[2] }});
                 link_worker(data);
             }};"
        );
        let options = BlobPropertyBag::new();
        options.set_type("text/javascript");
        let script = js_sys::Array::of1(&script.into());
        let blob = Blob::new_with_str_sequence_and_options(&script, &options).unwrap();
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let url = Url::create_object_url_with_blob(&blob).unwrap();
        let worker = Worker::new_with_options(&url, &options).unwrap();
        let (to_test, messages) = mpsc::unbounded();
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            to_test.unbounded_send(event.data()).unwrap()
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        let parts = js_sys::Array::of3(&role.into(), carrier, &wasm_bindgen::module());
        worker
            .post_message_with_transfer(&parts, &js_sys::Array::of1(carrier))
            .unwrap();
        Self {
            worker,
            messages,
            _on_message: on_message,
        }
    }
}

impl Drop for TestWorker {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}

/// Connects two workers, and closes the asking side once all answers came. `carry` makes of a channel what moves to its worker.
async fn converse(mut carry: impl FnMut(RtcDataChannel) -> JsValue) {
    let (ours, our_channels) = Connection::new(|| panic!("the connection failed")).unwrap();
    let (theirs, their_channels) = Connection::new(|| panic!("the connection failed")).unwrap();
    let mut asking = TestWorker::start("ask", &carry(our_channels.activation));
    let mut answering = TestWorker::start("reply", &carry(their_channels.activation));

    let offer = ours.offer().await.unwrap();
    let answer = theirs.answer(&offer).await.unwrap();
    ours.accept(&answer).await.unwrap();
    assert_eq!(asking.messages.next().await.unwrap(), f64::from(MESSAGES));

    drop(ours);
    assert_eq!(answering.messages.next().await.unwrap(), "closed");
}

#[wasm_bindgen_test]
async fn channels_handed_to_workers_carry_bytes_both_ways_and_report_the_end() {
    converse(JsValue::from).await;
}

#[wasm_bindgen_test]
async fn bridges_do_the_same_where_channels_cannot_move() {
    let mut bridges = Vec::new();
    converse(|channel| {
        let (bridge, port) = Bridge::new(channel).unwrap();
        bridges.push(bridge);
        port.into()
    })
    .await;
}
