//! What the tab of a host keeps over a reload: in its session storage, which the browser shows to this tab and this origin only, and
//! forgets when the tab is closed. Where there is none, the room ends with the page.

use door::HostKeys;
use js_sys::{Object, Promise, Reflect};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::Storage;

use super::options::PhoneOptions;
use crate::{clock::sleep, error::BrowserError, messages::HostedModel, random, signaling::Seat};

/// Where the room is kept, and where its session.
const ROOM: &str = "lingualinked.room";
const SESSION: &str = "lingualinked.session";
/// The tab's own name.
const TAB: &str = "lingualinked.tab";
const TAB_BYTES: usize = 8;
/// A page that goes away may hold its room's lock so often, and so long, after the next page began.
const LOCK_ATTEMPTS: u32 = 5;
const LOCK_WAIT_MS: f64 = 300.0;

/// What opens the room again.
#[derive(Serialize, Deserialize)]
pub struct KeptRoom {
    /// Of the phone that started it.
    pub options: PhoneOptions,
    /// The host's.
    pub seat: Seat,
    /// Of the room.
    pub keys: HostKeys,
    /// The room's.
    pub model: HostedModel,
}

/// Keeps a new room; nothing of an earlier one is left.
pub fn keep_room(room: &KeptRoom) {
    forget();
    if let Ok(json) = serde_json::to_string(room) {
        keep(ROOM, &json);
    }
}

/// Keeps what the session worker says.
pub fn keep_session(json: &str) {
    keep(SESSION, json);
}

/// The room that this tab started before it was loaded again. One that another version of the page kept is none.
pub fn room() -> Option<KeptRoom> {
    serde_json::from_str(&read(ROOM)?).ok()
}

/// What the session worker kept.
pub fn session() -> Option<String> {
    read(SESSION)
}

/// The room is over, or goes on elsewhere.
pub fn forget() {
    for key in [ROOM, SESSION] {
        if let Some(storage) = storage() {
            // What is not there needs not be removed.
            let _ = storage.remove_item(key);
        }
    }
}

/// Tells this tab from others, also after it was loaded again: a random name, which only the host of its room hears.
pub fn tab() -> Option<String> {
    read(TAB).or_else(|| {
        let bytes: [u8; TAB_BYTES] = random::bytes().ok()?;
        let tab: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        keep(TAB, &tab);
        Some(tab)
    })
}

/// Makes this page the only one that hosts a room: a tab that was duplicated has the same keys.
///
/// # Errors
/// Another tab hosts it.
pub async fn claim(room: &str) -> Result<(), BrowserError> {
    for _ in 0..LOCK_ATTEMPTS {
        match lock(&format!("lingualinked.host.{room}")).await {
            Some(false) => sleep(LOCK_WAIT_MS).await,
            Some(true) | None => return Ok(()),
        }
    }
    Err(BrowserError::OtherTab)
}

/// Takes a lock until this page goes; false where another page has it, `None` in browsers without locks.
async fn lock(name: &str) -> Option<bool> {
    let navigator = web_sys::window()?.navigator();
    let locks: Locks = Reflect::get(&navigator, &"locks".into())
        .ok()
        .filter(JsValue::is_object)?
        .unchecked_into();
    let options = Object::new();
    Reflect::set(&options, &"ifAvailable".into(), &true.into()).ok()?;
    let (answer, answered) = futures::channel::oneshot::channel();
    let on_answer = Closure::once_into_js(move |lock: JsValue| {
        let granted = !lock.is_null();
        // The lock is held until this is settled: never.
        let held = match granted {
            true => Promise::new(&mut |_, _| {}),
            false => Promise::resolve(&JsValue::UNDEFINED),
        };
        let _ = answer.send(granted);
        JsValue::from(held)
    });
    let requested = locks.request(name, &options, &on_answer);
    let refused = async { JsFuture::from(requested).await.err().map(|_| ()) };
    match futures::future::select(answered, Box::pin(refused)).await {
        futures::future::Either::Left((granted, _)) => granted.ok(),
        // Held by another page, or not allowed here: the first was told before.
        futures::future::Either::Right((_, answered)) => answered.await.ok(),
    }
}

#[wasm_bindgen]
extern "C" {
    type Locks;
    #[wasm_bindgen(method)]
    fn request(this: &Locks, name: &str, options: &Object, on_answer: &JsValue) -> Promise;
}

fn keep(key: &str, json: &str) {
    if let Some(storage) = storage() {
        // A full or forbidden storage: the room ends with this page.
        let _ = storage.set_item(key, json);
    }
}

fn read(key: &str) -> Option<String> {
    storage()?.get_item(key).ok()?
}

fn storage() -> Option<Storage> {
    web_sys::window()?.session_storage().ok()?
}
