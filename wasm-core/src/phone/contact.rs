//! First contact: through the server until the host's channels are open, and never again.

use std::rc::{Rc, Weak};

use door::{HostKeys, Invitation};
use futures::future::{Either, abortable, select};
use plan::MemberId;
use session::Fault;
use wasm_bindgen_futures::spawn_local;
use web_sys::Blob;

use super::{
    kept::{self, KeptRoom},
    page::{Awaited, Page},
};
use crate::{
    clock::sleep,
    error::BrowserError,
    http::has_global,
    messages::{HostedModel, ToSession},
    random,
    signaling::{self, FirstContact, HOST_SEAT, Inbox, Letter, Seat},
};

/// A host that does not answer in this time is gone.
const ANSWER_MS: f64 = 20_000.0;
/// An attempt to come back, and the time between two.
const PATIENCE_MS: f64 = 5_000.0;
const AGAIN_MS: f64 = 1_000.0;
/// Who is not let in in this time never will be.
const CONNECT_MS: f64 = 20_000.0;

/// Starts a session and a room for it.
pub async fn host(
    page: &Rc<Page>,
    model: HostedModel,
    file: Option<Blob>,
) -> Result<Invitation, Fault> {
    check_browser()?;
    let keys = HostKeys::new(&random::bytes()?);
    start_hosting(page, &model, file, &keys, None).await?;
    let seat = signaling::create_room().await?;
    kept::claim(&seat.room).await?;
    // A page that is loaded again has lost its files.
    match model {
        HostedModel::File => kept::forget(),
        model => kept::keep_room(&KeptRoom {
            options: page.options.clone(),
            seat: seat.clone(),
            keys: keys.clone(),
            model,
        }),
    }
    open_door(page, &seat);
    Ok(Invitation::new(&seat.room, &keys))
}

/// Opens the room again that this tab started before it was loaded again. Its guests look for it.
pub async fn resume(page: &Rc<Page>, room: KeptRoom) -> Result<Invitation, Fault> {
    check_browser()?;
    let KeptRoom {
        seat, keys, model, ..
    } = room;
    if let Err(error) = kept::claim(&seat.room).await {
        kept::forget();
        return Err(error.into());
    }
    start_hosting(page, &model, None, &keys, kept::session()).await?;
    let seat = signaling::reopen(&seat).await?;
    open_door(page, &seat);
    Ok(Invitation::new(&seat.room, &keys))
}

/// Resolves when the model is open.
async fn start_hosting(
    page: &Rc<Page>,
    model: &HostedModel,
    file: Option<Blob>,
    keys: &HostKeys,
    kept: Option<String>,
) -> Result<(), Fault> {
    let options = &page.options;
    let host = ToSession::Host {
        offer: options.offer(),
        model: model.clone(),
        context_columns: options.context_columns(),
        wire: options.wire(),
        keys: keys.clone(),
        kept,
    };
    page.start_threads(&host, file)?;
    page.wait_for(Awaited::Hosting).await?;
    Ok(())
}

/// Guests may come.
fn open_door(page: &Rc<Page>, seat: &Seat) {
    let inbox = Inbox::open(seat);
    *page.seat.borrow_mut() = Some(Rc::new(seat.clone()));
    let (answering, handle) = abortable(answer_door(Rc::downgrade(page), inbox));
    *page.answering.borrow_mut() = Some(handle);
    spawn_local(async {
        // The page left the room.
        let _ = answering.await;
    });
}

/// Passes every guest's offer on until the page has left the room.
async fn answer_door(page: Weak<Page>, mut inbox: Inbox) {
    while let Some((seat, message)) = inbox.next().await {
        let Some(page) = page.upgrade() else { return };
        match message {
            Letter::Read(FirstContact::Offer { sdp }) => {
                page.knocking.borrow_mut().insert(seat.clone(), sdp);
                if page.to_session(&ToSession::Admit { seat }).is_err() {
                    return;
                }
            }
            Letter::Read(_) => {}
            Letter::OtherVersion(fault) => {
                page.answer_guest(seat, FirstContact::Refused { fault });
            }
        }
    }
}

/// Joins by a link, and waits until the host has let this page in; returns its number.
pub async fn join(page: &Rc<Page>, link: &str) -> Result<MemberId, Fault> {
    check_browser()?;
    let invitation = Invitation::parse(link)?;
    let seat = signaling::take_seat(&invitation.room).await?;
    let guest = ToSession::Guest {
        offer: page.options.offer(),
        credentials: invitation.credentials(),
    };
    page.start_threads(&guest, None)?;
    *page.invitation.borrow_mut() = Some(invitation);
    knock(page, &seat).await
}

/// Makes an offer to the host from a seat; returns the number it gave.
async fn knock(page: &Rc<Page>, seat: &Seat) -> Result<MemberId, Fault> {
    let mut inbox = Inbox::open(seat);
    let connection = page.connect(MemberId::HOST)?;
    let sdp = connection.offer().await?;
    let introduced = async {
        signaling::send(seat, HOST_SEAT, &FirstContact::Offer { sdp }).await?;
        answer(&mut inbox).await
    };
    let (sdp, me) = within(ANSWER_MS, BrowserError::NoAnswer, introduced).await?;
    let joined = page.wait_for(Awaited::Joined);
    page.to_session(&ToSession::Admitted { me })?;
    connection.accept(&sdp).await?;
    within(CONNECT_MS, BrowserError::Unreachable, joined).await
}

/// Knocks again until the host has let this page in, or the session has given up.
pub async fn rejoin(page: Weak<Page>) {
    while let Some(page) = page.upgrade() {
        let room = page
            .invitation
            .borrow()
            .as_ref()
            .map(|known| known.room.clone());
        let Some(room) = room.filter(|_| page.is_in_room()) else {
            return;
        };
        let again = async { knock(&page, &signaling::take_seat(&room).await?).await };
        if within(PATIENCE_MS, BrowserError::NoAnswer, again)
            .await
            .is_ok()
        {
            return;
        }
        sleep(AGAIN_MS).await;
    }
}

/// The host's answer and this page's number.
async fn answer(inbox: &mut Inbox) -> Result<(String, MemberId), Fault> {
    while let Some((from, message)) = inbox.next().await {
        match message {
            _ if from != HOST_SEAT => {}
            Letter::Read(FirstContact::Answer { sdp, member, .. }) => {
                return Ok((sdp, MemberId(member)));
            }
            Letter::Read(FirstContact::Refused { fault }) | Letter::OtherVersion(fault) => {
                return Err(fault);
            }
            Letter::Read(FirstContact::Offer { .. }) => {}
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
