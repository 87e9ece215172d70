//! In a page: two peer connections of our own, each with its channels handed to a worker that runs our wasm.
#![cfg(target_arch = "wasm32")]

use std::rc::Rc;

use futures::{StreamExt, channel::mpsc};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use wasm_core::{
    rtc::Connection,
    session_worker::link::{Link, LinkEvent},
};
use web_sys::{
    Blob, BlobPropertyBag, DedicatedWorkerGlobalScope, MessageEvent, RtcDataChannel, Url, Worker,
    WorkerOptions, WorkerType,
};

wasm_bindgen_test_configure!(run_in_browser);

/// What the second worker answers to each message: the same bytes, backwards.
fn reply(message: &[u8]) -> Vec<u8> {
    message.iter().rev().copied().collect()
}

/// Runs in each worker: `[role, channel]`. Role "ask" sends one message and reports the answer, "reply" answers.
#[wasm_bindgen]
pub fn link_worker(parts: js_sys::Array) {
    let asks = parts.get(0) == "ask";
    let channel: RtcDataChannel = parts.get(1).dyn_into().unwrap();
    let (to_loop, mut events) = mpsc::unbounded();
    let link = Link::new(channel, move |event| to_loop.unbounded_send(event).unwrap());
    wasm_bindgen_futures::spawn_local(async move {
        let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
        while let Some(event) = events.next().await {
            match event {
                LinkEvent::Open if asks => link.send(vec![1, 2, 3]).unwrap(),
                LinkEvent::Open => {}
                LinkEvent::Message(bytes) if asks => scope
                    .post_message(&js_sys::Uint8Array::from(bytes.as_slice()))
                    .unwrap(),
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
    /// Starts a worker on this test's own module and waits until it listens.
    async fn start(role: &str, channel: &RtcDataChannel) -> Self {
        let origin = web_sys::window().unwrap().location().origin().unwrap();
        let script = format!(
            "import {{ initSync, link_worker }} from '{origin}/wasm-bindgen-test.js';
             self.onmessage = ({{ data }}) => {{
                 if (!Array.isArray(data)) return;
                 self.onmessage = null;
                 initSync({{ module: data[2] }});
                 link_worker(data);
             }};"
        );
        let options = BlobPropertyBag::new();
        options.set_type("text/javascript");
        let blob =
            Blob::new_with_str_sequence_and_options(&js_sys::Array::of1(&script.into()), &options)
                .unwrap();
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker =
            Worker::new_with_options(&Url::create_object_url_with_blob(&blob).unwrap(), &options)
                .unwrap();
        let (to_test, messages) = mpsc::unbounded();
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            to_test.unbounded_send(event.data()).unwrap()
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        let parts = js_sys::Array::of3(&role.into(), channel, &wasm_bindgen::module());
        worker
            .post_message_with_transfer(&parts, &js_sys::Array::of1(channel))
            .unwrap();
        Self {
            worker,
            messages,
            _on_message: on_message,
        }
    }
}

#[wasm_bindgen_test]
async fn channels_handed_to_workers_carry_bytes_both_ways_and_report_the_end() {
    let (ours, our_channels) = Connection::new(|| panic!("the connection failed")).unwrap();
    let (theirs, their_channels) = Connection::new(|| panic!("the connection failed")).unwrap();
    let mut asking = TestWorker::start("ask", &our_channels.activation).await;
    let mut answering = TestWorker::start("reply", &their_channels.activation).await;

    let (ours, theirs) = (Rc::new(ours), Rc::new(theirs));
    let offer = ours.offer().await.unwrap();
    let answer = theirs.answer(&offer).await.unwrap();
    ours.accept(&answer).await.unwrap();

    let received = asking.messages.next().await.unwrap();
    assert_eq!(
        js_sys::Uint8Array::from(received).to_vec(),
        reply(&[1, 2, 3])
    );

    drop(ours);
    assert_eq!(answering.messages.next().await.unwrap(), "closed");
    asking.worker.terminate();
    answering.worker.terminate();
}
