//! What this device's battery does. Only Chromium tells, in secure contexts (W3C Battery Status API).

use js_sys::{Function, Promise, Reflect};
use plan::Power;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::EventTarget;

use super::sight::Listener;

/// Tells of changes until it is dropped.
pub struct Battery(#[expect(dead_code, reason = "they listen as long as they live")] Vec<Listener>);

impl Battery {
    /// Tells how the battery is, now and whenever that changes. `None` where the browser does not say.
    pub async fn watch(tell: impl Fn(Power) + Clone + 'static) -> Option<Self> {
        let navigator: JsValue = web_sys::window()?.navigator().into();
        let ask = Reflect::get(&navigator, &"getBattery".into()).ok()?;
        let asked = ask.dyn_into::<Function>().ok()?.call0(&navigator).ok()?;
        let battery = JsFuture::from(asked.dyn_into::<Promise>().ok()?).await;
        let battery: EventTarget = battery.ok()?.dyn_into().ok()?;
        tell(power(&battery));
        let listen = |event| {
            let (of, tell) = (battery.clone(), tell.clone());
            Listener::new(battery.clone(), event, move || tell(power(&of)))
        };
        let listeners = ["levelchange", "chargingchange"].into_iter();
        Some(Self(listeners.filter_map(listen).collect()))
    }
}

fn power(battery: &EventTarget) -> Power {
    let field = |name: &str| Reflect::get(battery, &name.into()).unwrap_or_default();
    match (field("charging").as_bool(), field("level").as_f64()) {
        (Some(true), _) => Power::Charging,
        (Some(false), Some(share)) => Power::Battery { share },
        _ => Power::Unknown,
    }
}
