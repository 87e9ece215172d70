//! Whether a person sees this page, and when it goes away.

use wasm_bindgen::prelude::*;
use web_sys::EventTarget;

/// Calls back on an event of the page until it is dropped.
pub struct Listener {
    target: EventTarget,
    event: &'static str,
    callback: Closure<dyn FnMut()>,
}

impl Listener {
    /// The page goes away. `None` where there is no page.
    pub fn of_leaving(act: impl FnMut() + 'static) -> Option<Self> {
        Self::new(web_sys::window()?.into(), "pagehide", act)
    }

    /// The page went behind others, or is in front again: [`is_hidden`] tells. `None` where there is no page.
    pub fn of_hiding(act: impl FnMut() + 'static) -> Option<Self> {
        let document = web_sys::window()?.document()?;
        Self::new(document.into(), "visibilitychange", act)
    }

    pub fn new(
        target: EventTarget,
        event: &'static str,
        act: impl FnMut() + 'static,
    ) -> Option<Self> {
        let callback = Closure::<dyn FnMut()>::new(act);
        let added =
            target.add_event_listener_with_callback(event, callback.as_ref().unchecked_ref());
        added.ok().map(|()| Self {
            target,
            event,
            callback,
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A page that is gone calls nobody.
        let callback = self.callback.as_ref().unchecked_ref();
        let _ = self
            .target
            .remove_event_listener_with_callback(self.event, callback);
    }
}

/// Whether this page is behind others, where its browser may stop it.
pub fn is_hidden() -> bool {
    let document = web_sys::window().and_then(|window| window.document());
    document.is_some_and(|document| document.hidden())
}
