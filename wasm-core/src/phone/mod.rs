//! The API of a page: one phone in one room.

mod battery;
mod contact;
mod kept;
mod options;
mod page;
mod sight;

use std::rc::Rc;

use door::Invitation;
use session::Fault;
use wasm_bindgen::prelude::*;
use wasm_streams::ReadableStream;

use crate::{
    error::{self, BrowserError},
    messages::ToSession,
    value,
};
use options::{PhoneOptions, Request};
use page::Page;

/// This page as a phone of a room: hosts one, or joins one.
#[wasm_bindgen]
pub struct Phone {
    page: Rc<Page>,
}

#[wasm_bindgen]
impl Phone {
    /// `{name, engine?, budgetBytes?, client?, workerUrl?, contextColumns?, wire?}`
    #[wasm_bindgen(constructor)]
    pub fn new(options: JsValue) -> Result<Phone, JsValue> {
        let options: PhoneOptions = value::from_js(options).map_err(rejection)?;
        Ok(Self {
            page: Page::new(options),
        })
    }

    /// The phone of this tab before it was loaded again, if it hosted a room then; `resume` opens the room.
    pub fn reloaded() -> Option<Phone> {
        let room = kept::room()?;
        Some(Self {
            page: Page::new(room.options),
        })
    }

    /// A `ReadableStream` of events; once, before `host` or `join`.
    pub fn events(&self) -> Result<wasm_streams::readable::sys::ReadableStream, JsValue> {
        let events = self.page.take_events().map_err(rejection)?;
        Ok(ReadableStream::from_stream(futures::StreamExt::map(events, Ok)).into_raw())
    }

    /// Starts a room with a model: `{id, file, manifest}` of this server, a `File` or `Blob` of this device, or `{address, sha256?}` of a
    /// file elsewhere. The latter two are read once from start to end before guests may come, which `reading` events tell. Resolves with `{room, invitation}` when guests may come. The invitation is the
    /// fragment of the room's link and contains its secret: show it to those who may join, and send it to no server.
    pub async fn host(&self, model: JsValue) -> Result<JsValue, JsValue> {
        let (model, file) = options::hosted(model).map_err(rejection)?;
        let invitation = contact::host(&self.page, model, file)
            .await
            .map_err(|fault| self.refuse(&fault))?;
        opened(&invitation)
    }

    /// Opens the room of a reloaded tab again: under the same link, for the same guests, with the plan it had and the answer that was
    /// being written. Resolves as `host` does.
    pub async fn resume(&self) -> Result<JsValue, JsValue> {
        let room = kept::room().ok_or_else(|| BrowserError::Misuse {
            detail: "this tab hosted no room".to_owned(),
        });
        let invitation = contact::resume(&self.page, room.map_err(rejection)?)
            .await
            .map_err(|fault| self.refuse(&fault))?;
        opened(&invitation)
    }

    /// Joins a room by its link or the link's fragment; resolves with this phone's number when the host let it in.
    pub async fn join(&self, link: String) -> Result<u32, JsValue> {
        contact::join(&self.page, &link)
            .await
            .map(|me| me.0)
            .map_err(|fault| self.refuse(&fault))
    }

    /// Host: plan with the phones present, and load.
    pub fn begin(&self) -> Result<(), JsValue> {
        self.page.to_session(&ToSession::Begin).map_err(rejection)
    }

    /// Asks: `{prompt? | messages?, maxTokens, temperature?, topK?, topP?, minP?, repeatPenalty?, seed?}`. The answer comes as events that
    /// name the number this returns. Several questions of a page may be open at the same time.
    pub fn generate(&self, request: JsValue) -> Result<u32, JsValue> {
        let request: Request = value::from_js(request).map_err(rejection)?;
        let question = request.question().map_err(rejection)?;
        self.page.ask(question).map_err(rejection)
    }

    /// Ends an answer to this page at the next token.
    pub fn stop(&self, question: u32) -> Result<(), JsValue> {
        self.page
            .to_session(&ToSession::Stop { question })
            .map_err(rejection)
    }

    /// Leave the room.
    pub fn leave(&self) -> Result<(), JsValue> {
        self.page.to_session(&ToSession::Leave).map_err(rejection)
    }

    /// Ends what was begun, so that the page may try again.
    fn refuse(&self, fault: &Fault) -> JsValue {
        self.page.close();
        error::to_js(fault)
    }
}

/// What hosts are told of their room.
fn opened(invitation: &Invitation) -> Result<JsValue, JsValue> {
    let answer = js_sys::Object::new();
    let set =
        |key: &str, text: &str| js_sys::Reflect::set(&answer, &key.into(), &text.into()).map(drop);
    set("room", &invitation.room)?;
    set("invitation", &invitation.to_string())?;
    Ok(answer.into())
}

fn rejection(error: BrowserError) -> JsValue {
    error::to_js(&error.into())
}
