//! Time, in pages and workers alike.

use futures::channel::oneshot;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(handler: &js_sys::Function, delay_ms: f64) -> f64;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(id: f64);
}

/// Milliseconds since this thread started.
pub fn now_ms() -> f64 {
    performance_now()
}

/// Whole milliseconds since this thread started.
pub fn now_whole_ms() -> u64 {
    performance_now() as u64
}

/// A one-shot timer; dropping it cancels it.
pub struct Timer {
    id: f64,
    _callback: Closure<dyn FnMut()>,
}

impl Timer {
    /// Calls `then` once, `delay_ms` from now.
    pub fn after(delay_ms: f64, then: impl FnOnce() + 'static) -> Self {
        let callback = Closure::once(then);
        let id = set_timeout(callback.as_ref().unchecked_ref(), delay_ms);
        Self {
            id,
            _callback: callback,
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        clear_timeout(self.id);
    }
}

/// Waits.
pub async fn sleep(delay_ms: f64) {
    let (done, wait) = oneshot::channel();
    let _timer = Timer::after(delay_ms, move || {
        // Nobody waits any more: nothing to tell.
        let _ = done.send(());
    });
    let _ = wait.await;
}
