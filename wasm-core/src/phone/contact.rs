//! First contact: through the server until the host's channels are open, and never again.

use std::rc::{Rc, Weak};

use futures::future::{Either, select};
use plan::MemberId;
use session::{Fault, ModelReference};
use wasm_bindgen_futures::spawn_local;

use super::page::{Awaited, Page};
use crate::{
    clock::sleep,
    error::BrowserError,
    http::has_global,
    messages::ToSession,
    signaling::{self, FirstContact, HOST_SEAT, Inbox},
};

/// A host that does not answer in this time is gone.
const ANSWER_MS: f64 = 20_000.0;
/// Channels that do not open in this time never will.
const CONNECT_MS: f64 = 20_000.0;

/// Starts a session and a room for it; returns the room's id.
pub async fn host(page: &Rc<Page>, model: ModelReference) -> Result<String, Fault> {
    check_browser()?;
    let options = &page.options;
    page.start_threads(&ToSession::Host {
        offer: options.offer(),
        model,
        context_columns: options.context_columns(),
        wire: options.wire(),
    })?;
    page.wait_for(Awaited::Hosting).await?;
    let seat = Rc::new(signaling::create_room().await?);
    let inbox = Inbox::open(&seat)?;
    *page.seat.borrow_mut() = Some(Rc::clone(&seat));
    spawn_local(answer_door(Rc::downgrade(page), inbox));
    Ok(seat.room.clone())
}

/// Passes every guest's offer on until the page has left the room.
async fn answer_door(page: Weak<Page>, mut inbox: Inbox) {
    while let Some((seat, message)) = inbox.next().await {
        let Some(page) = page.upgrade() else { return };
        if let FirstContact::Offer { sdp } = message {
            page.knocking.borrow_mut().insert(seat.clone(), sdp);
            if page.to_session(&ToSession::Admit { seat }).is_err() {
                return;
            }
        }
    }
}

/// Takes a seat, makes an offer to the host, and waits until both channels are open.
pub async fn join(page: &Rc<Page>, room: &str) -> Result<(), Fault> {
    check_browser()?;
    let seat = signaling::take_seat(room).await?;
    let mut inbox = Inbox::open(&seat)?;
    page.start_threads(&ToSession::Guest {
        offer: page.options.offer(),
    })?;
    let connection = page.connect(MemberId::HOST)?;
    let sdp = connection.offer().await?;
    signaling::send(&seat, HOST_SEAT, &FirstContact::Offer { sdp }).await?;
    let (sdp, me) = within(ANSWER_MS, BrowserError::NoAnswer, answer(&mut inbox)).await?;
    page.to_session(&ToSession::Admitted { me })?;
    connection.accept(&sdp).await?;
    let slow = BrowserError::Connection {
        detail: "the channels did not open".to_owned(),
    };
    within(
        CONNECT_MS,
        slow,
        page.wait_for(Awaited::Connected(MemberId::HOST)),
    )
    .await
}

/// The host's answer and this page's number.
async fn answer(inbox: &mut Inbox) -> Result<(String, MemberId), Fault> {
    while let Some((from, message)) = inbox.next().await {
        match message {
            FirstContact::Answer { sdp, member, .. } if from == HOST_SEAT => {
                return Ok((sdp, MemberId(member)));
            }
            FirstContact::Refused { fault } if from == HOST_SEAT => return Err(fault),
            _ => {}
        }
    }
    Err(BrowserError::NoAnswer.into())
}

async fn within<T>(
    limit_ms: f64,
    late: BrowserError,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    match select(Box::pin(work), Box::pin(sleep(limit_ms))).await {
        Either::Left((done, _)) => done,
        Either::Right(_) => Err(late.into()),
    }
}

fn check_browser() -> Result<(), BrowserError> {
    if !web_sys::window().is_some_and(|window| window.is_secure_context()) {
        return Err(BrowserError::InsecureContext);
    }
    if !has_global("RTCPeerConnection") {
        return Err(BrowserError::NoWebRtc);
    }
    Ok(())
}
