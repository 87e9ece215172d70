//! The main thread's state: two workers, the peer connections, the way to the embedding page.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::{Rc, Weak},
};

use door::{Fingerprints, Invitation};
use futures::{
    FutureExt,
    channel::{mpsc, oneshot},
    future::AbortHandle,
};
use plan::MemberId;
use session::{Event, Fault};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Blob, MessageChannel};

use super::{
    battery::Battery,
    contact, kept,
    options::PhoneOptions,
    sight::{Listener, is_hidden},
};
use crate::{
    channel::{
        bridge::Bridge,
        connection::{Channels, Connection},
    },
    clock::sleep,
    error::BrowserError,
    messages::{FromSession, Question, ToEngineWorker, ToSession},
    ports::Parcel,
    signaling::{FirstContact, Seat, send},
    threads::{FromWorker, Role, Thread, worker_url},
    value,
};

/// The last words of a session get so long to leave this page.
const LAST_WORDS_MS: f64 = 300.0;

/// Everything of this page that lives on the main thread.
pub struct Page {
    /// What the embedding page asked for.
    pub options: PhoneOptions,
    to_embedder: mpsc::UnboundedSender<JsValue>,
    events: Cell<Option<mpsc::UnboundedReceiver<JsValue>>>,
    threads: RefCell<Option<Threads>>,
    connections: RefCell<BTreeMap<MemberId, Member>>,
    /// Made so far; what another thread says of an earlier one is not about the one that took its place.
    connections_made: Cell<u64>,
    /// Asked so far, also before the page was loaded again.
    questions: Cell<u32>,
    /// Guest: what it was let in with.
    pub(super) invitation: RefCell<Option<Invitation>>,
    /// Host: where guests knock.
    pub(super) seat: RefCell<Option<Rc<Seat>>>,
    /// Host: ends the answering of those who knock.
    pub(super) answering: RefCell<Option<AbortHandle>>,
    /// Offers of guests that wait for a number, by seat.
    pub(super) knocking: RefCell<BTreeMap<String, String>>,
    waiting: RefCell<Vec<Waiting>>,
    battery: RefCell<Option<Battery>>,
    /// Connections of a page that goes away are closed, so that the others need not wait for a timeout.
    _on_leaving: Option<Listener>,
    _on_hiding: Option<Listener>,
}

/// A member this page is connected to.
struct Member {
    connection: Rc<Connection>,
    _bridges: Vec<Bridge>,
}

struct Threads {
    session: Thread,
    engine: Thread,
}

/// Somebody on the main thread who waits for a word of the session worker.
struct Waiting {
    awaited: Awaited,
    done: oneshot::Sender<Result<MemberId, Fault>>,
}

/// What can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// The model is open and guests may come.
    Hosting,
    /// The host let this page in.
    Joined,
}

thread_local! {
    /// Where a panic of this thread is told: the streams of all phones of this page.
    static STREAMS: RefCell<Vec<mpsc::UnboundedSender<JsValue>>> = const { RefCell::new(Vec::new()) };
}

/// Turns panics of the main thread into events, before the trap.
fn report_panics(to_embedder: mpsc::UnboundedSender<JsValue>) {
    STREAMS.with_borrow_mut(|streams| {
        streams.retain(|stream| !stream.is_closed());
        streams.push(to_embedder);
    });
    std::panic::set_hook(Box::new(|panic| {
        let fault = BrowserError::Panic {
            detail: panic.to_string(),
        }
        .into();
        let Ok(event) = value::to_js(&Event::Failed { fault, fatal: true }) else {
            return;
        };
        STREAMS.with_borrow(|streams| {
            streams
                .iter()
                .for_each(|stream| drop(stream.unbounded_send(event.clone())))
        });
    }));
}

/// Does something with a page as long as it is there.
fn on(page: &Weak<Page>, act: impl Fn(&Page) + 'static) -> impl FnMut() + 'static {
    let page = Weak::clone(page);
    move || {
        if let Some(page) = page.upgrade() {
            act(&page);
        }
    }
}

impl Page {
    pub fn new(options: PhoneOptions) -> Rc<Self> {
        let (to_embedder, events) = mpsc::unbounded();
        report_panics(to_embedder.clone());
        Rc::new_cyclic(|page| Self {
            options,
            to_embedder,
            events: Cell::new(Some(events)),
            threads: RefCell::default(),
            connections: RefCell::default(),
            connections_made: Cell::new(0),
            questions: Cell::new(0),
            invitation: RefCell::default(),
            seat: RefCell::default(),
            answering: RefCell::default(),
            knocking: RefCell::default(),
            waiting: RefCell::default(),
            battery: RefCell::default(),
            _on_leaving: Listener::of_leaving(on(page, |page| page.close())),
            _on_hiding: Listener::of_hiding(on(page, |page| page.tell_sight())),
        })
    }

    pub fn take_events(&self) -> Result<mpsc::UnboundedReceiver<JsValue>, BrowserError> {
        self.events.take().ok_or_else(|| BrowserError::Misuse {
            detail: "events() was called twice".to_owned(),
        })
    }

    /// Starts both workers, joined by a port; `first` tells the session worker what it is for. A host's model may be a file.
    pub fn start_threads(
        self: &Rc<Self>,
        first: &ToSession,
        file: Option<Blob>,
    ) -> Result<(), BrowserError> {
        if self.threads.borrow().is_some() {
            return Err(BrowserError::Misuse {
                detail: "this phone is in a room already".to_owned(),
            });
        }
        let script = worker_url(self.options.worker_url.as_deref())?;
        let ports = MessageChannel::new().map_err(|thrown| BrowserError::thrown(&thrown))?;
        let page = Rc::downgrade(self);
        let session = Thread::start(
            &script,
            Role::Session,
            move |from: FromWorker<FromSession>| {
                if let Some(page) = page.upgrade() {
                    page.on_session(from);
                }
            },
        )?;
        let page = Rc::downgrade(self);
        // The engine worker speaks to the session worker; to the page only when it dies.
        let engine = Thread::start(&script, Role::Engine, move |from: FromWorker<()>| {
            if let (Some(page), FromWorker::Died(error)) = (page.upgrade(), from) {
                page.fail(error.into());
            }
        })?;
        engine.send_moving(
            &ToEngineWorker::Start {
                offer: self.options.offer(),
            },
            &[ports.port1().into()],
        )?;
        let file: Vec<JsValue> = file.into_iter().map(JsValue::from).collect();
        session.send_moving_and_copying(first, &[ports.port2().into()], &file)?;
        *self.threads.borrow_mut() = Some(Threads { session, engine });
        self.tell_sight();
        self.watch_battery();
        Ok(())
    }

    /// The session knows whether this page is in front; without one, nobody needs to.
    fn tell_sight(&self) {
        let hidden = is_hidden();
        let _ = self.to_session(&ToSession::Hidden { hidden });
    }

    /// The session knows what the battery does, where the browser tells.
    fn watch_battery(self: &Rc<Self>) {
        let page = Rc::downgrade(self);
        spawn_local(async move {
            let to = Weak::clone(&page);
            let tell = move |power| {
                if let Some(page) = to.upgrade() {
                    // Without a session nobody needs to know.
                    let _ = page.to_session(&ToSession::Power { power });
                }
            };
            let watching = Battery::watch(tell).await;
            if let Some(page) = page.upgrade() {
                *page.battery.borrow_mut() = watching;
            }
        });
    }

    /// Posts to the session worker.
    pub fn to_session(&self, message: &ToSession) -> Result<(), BrowserError> {
        self.with_threads(|threads| threads.session.send(message))
    }

    /// Asks; the answer comes as events that name the number this returns.
    pub fn ask(&self, question: Question) -> Result<u32, BrowserError> {
        let number = self.questions.get() + 1;
        self.to_session(&ToSession::Generate { number, question })?;
        self.questions.set(number);
        Ok(number)
    }

    fn with_threads(
        &self,
        act: impl FnOnce(&Threads) -> Result<(), BrowserError>,
    ) -> Result<(), BrowserError> {
        let threads = self.threads.borrow();
        let threads = threads.as_ref().ok_or_else(|| BrowserError::Misuse {
            detail: "this phone is in no room".to_owned(),
        })?;
        act(threads)
    }

    /// Whether a session goes on here.
    pub fn is_in_room(&self) -> bool {
        self.threads.borrow().is_some()
    }

    /// Waits, from now on, for a word of the session worker; this page's number comes with it.
    pub fn wait_for(
        &self,
        awaited: Awaited,
    ) -> impl Future<Output = Result<MemberId, Fault>> + use<> {
        let (done, wait) = oneshot::channel();
        self.waiting.borrow_mut().push(Waiting { awaited, done });
        wait.map(|word| {
            word.unwrap_or_else(|_| {
                Err(BrowserError::Misuse {
                    detail: "this phone left the room".to_owned(),
                }
                .into())
            })
        })
    }

    /// Opens a connection to a member; its channels move to the workers at once.
    pub fn connect(self: &Rc<Self>, member: MemberId) -> Result<Rc<Connection>, BrowserError> {
        let page = Rc::downgrade(self);
        let (
            connection,
            Channels {
                control,
                activation,
                weights,
            },
        ) = Connection::new(move || {
            if let Some(page) = page.upgrade() {
                page.on_unreachable(member);
            }
        })?;
        let connection = Rc::new(connection);
        let number = self.connections_made.get() + 1;
        self.connections_made.set(number);
        let channels = [control, activation, weights];
        let moved = self.hand_over(member, number, channels.clone().map(JsValue::from));
        let bridges = match moved {
            Ok(()) => Vec::new(),
            // This browser cannot move channels.
            Err(_) => {
                let [control, activation, weights] = channels.map(Bridge::new);
                let (control_bridge, control) = control?;
                let (activation_bridge, activation) = activation?;
                let (weights_bridge, weights) = weights?;
                let ports = [control, activation, weights].map(JsValue::from);
                self.hand_over(member, number, ports)?;
                vec![control_bridge, activation_bridge, weights_bridge]
            }
        };
        self.connections.borrow_mut().insert(
            member,
            Member {
                connection: Rc::clone(&connection),
                _bridges: bridges,
            },
        );
        Ok(connection)
    }

    /// Control and activation go to the session worker, weights to the engine worker.
    fn hand_over(
        &self,
        member: MemberId,
        connection: u64,
        [control, activation, weights]: [JsValue; 3],
    ) -> Result<(), BrowserError> {
        self.with_threads(|threads| {
            let channels = ToSession::Channels { member, connection };
            threads
                .session
                .send_moving(&channels, &[control, activation])?;
            let channel = ToEngineWorker::Channel { member, connection };
            threads.engine.send_moving(&channel, &[weights])
        })
    }

    /// Ends everything that belongs to the room.
    pub fn close(&self) {
        self.connections.borrow_mut().clear();
        self.seat.borrow_mut().take();
        if let Some(answering) = self.answering.take() {
            answering.abort();
        }
        self.knocking.borrow_mut().clear();
        self.waiting.borrow_mut().clear();
        self.battery.borrow_mut().take();
        self.threads.borrow_mut().take();
    }

    fn on_session(self: &Rc<Self>, from: FromWorker<FromSession>) {
        let Parcel { message, values } = match from {
            FromWorker::Message(parcel) => parcel,
            FromWorker::Died(error) => return self.fail(error.into()),
        };
        match message {
            FromSession::Event => values.into_iter().for_each(|event| self.tell(event)),
            FromSession::Keep { session } => kept::keep_session(&session),
            FromSession::Hosting { asked } => {
                self.questions.set(asked);
                self.wake(Awaited::Hosting, MemberId::HOST);
            }
            FromSession::Opened { member } => self.tell_certificates(member),
            FromSession::Joined { member } => self.wake(Awaited::Joined, member),
            FromSession::Failed(fault) => self.wake_all(&fault),
            FromSession::Number { seat, member } => self.let_in(seat, member),
            FromSession::Refused { seat, fault } => {
                self.knocking.borrow_mut().remove(&seat);
                self.answer_guest(seat, FirstContact::Refused { fault });
            }
            FromSession::Connect { member, offer } => self.reach(member, offer),
            FromSession::Signal { from, payload } => self.on_signal(from, payload),
            FromSession::Disconnect { member } => {
                drop(self.connections.borrow_mut().remove(&member))
            }
            FromSession::Rejoin => spawn_local(contact::rejoin(Rc::downgrade(self))),
            FromSession::Over => {
                kept::forget();
                let page = Rc::clone(self);
                spawn_local(async move {
                    sleep(LAST_WORDS_MS).await;
                    page.close();
                });
            }
        }
    }

    /// Host: answers a guest's offer under its new number.
    fn let_in(self: &Rc<Self>, seat: String, member: MemberId) {
        let Some(offer) = self.knocking.borrow_mut().remove(&seat) else {
            return;
        };
        let page = Rc::clone(self);
        self.attempt(member, async move {
            let sdp = page.connect(member)?.answer(&offer).await?;
            page.answer_guest(
                seat.clone(),
                FirstContact::Answer {
                    sdp,
                    member: member.0,
                    you: seat,
                },
            );
            Ok(())
        });
    }

    pub(super) fn answer_guest(self: &Rc<Self>, to: String, message: FirstContact) {
        let Some(seat) = self.seat.borrow().clone() else {
            return;
        };
        let page = Rc::clone(self);
        spawn_local(async move {
            if let Err(fault) = send(&seat, &to, &message).await {
                page.notice(fault);
            }
        });
    }

    /// Opens a connection inside the room; the other side makes the offer unless `offer`.
    fn reach(self: &Rc<Self>, member: MemberId, offer: bool) {
        if !offer {
            return;
        }
        let page = Rc::clone(self);
        self.attempt(member, async move {
            let sdp = page.connect(member)?.offer().await?;
            page.signal(member, &RoomSignal::Offer { sdp })
        });
    }

    fn on_signal(self: &Rc<Self>, from: MemberId, payload: String) {
        let page = Rc::clone(self);
        self.attempt(from, async move {
            let signal: RoomSignal =
                serde_json::from_str(&payload).map_err(|error| BrowserError::Connection {
                    detail: error.to_string(),
                })?;
            match signal {
                RoomSignal::Offer { sdp } => {
                    let sdp = page.connect(from)?.answer(&sdp).await?;
                    page.signal(from, &RoomSignal::Answer { sdp })
                }
                RoomSignal::Answer { sdp } => match page.connection(from) {
                    Some(connection) => connection.accept(&sdp).await,
                    None => Ok(()),
                },
            }
        });
    }

    fn signal(&self, to: MemberId, signal: &RoomSignal) -> Result<(), BrowserError> {
        let payload = serde_json::to_string(signal).map_err(|error| BrowserError::Connection {
            detail: error.to_string(),
        })?;
        self.to_session(&ToSession::Signal { to, payload })
    }

    /// Runs one negotiation; where it fails, the session hears that the connection did.
    fn attempt(
        self: &Rc<Self>,
        member: MemberId,
        negotiation: impl Future<Output = Result<(), BrowserError>> + 'static,
    ) {
        let page = Rc::clone(self);
        spawn_local(async move {
            if let Err(error) = negotiation.await {
                page.give_up(member, error.into());
            }
        });
    }

    /// What the session needs to know before it trusts a connection.
    fn tell_certificates(self: &Rc<Self>, member: MemberId) {
        let Some(connection) = self.connection(member) else {
            return;
        };
        let page = Rc::clone(self);
        spawn_local(async move {
            match connection.fingerprints().await {
                Ok(Fingerprints { mine, theirs }) => {
                    // Without a session there is nobody to tell.
                    let _ = page.to_session(&ToSession::Certificates {
                        member,
                        mine: mine.0,
                        theirs: theirs.0,
                    });
                }
                Err(error) => page.give_up(member, error.into()),
            }
        });
    }

    fn connection(&self, member: MemberId) -> Option<Rc<Connection>> {
        let connections = self.connections.borrow();
        Some(Rc::clone(&connections.get(&member)?.connection))
    }

    /// No connection to a member; without one to the host nobody joins.
    fn give_up(&self, member: MemberId, fault: Fault) {
        if member == MemberId::HOST {
            self.wake_all(&fault);
        }
        self.notice(fault);
        self.connection_failed(member);
    }

    /// Without a way to the host nobody joins; without one to another member, the host relays.
    fn on_unreachable(&self, member: MemberId) {
        if member == MemberId::HOST {
            self.wake_all(&BrowserError::Unreachable.into());
        }
        self.connection_failed(member);
    }

    fn connection_failed(&self, member: MemberId) {
        // Without a session there is nobody to tell.
        let _ = self.to_session(&ToSession::ConnectionFailed { member });
    }

    fn wake(&self, awaited: Awaited, me: MemberId) {
        for waiting in self
            .waiting
            .borrow_mut()
            .extract_if(.., |waiting| waiting.awaited == awaited)
        {
            let _ = waiting.done.send(Ok(me));
        }
    }

    fn wake_all(&self, fault: &Fault) {
        for waiting in self.waiting.borrow_mut().drain(..) {
            let _ = waiting.done.send(Err(fault.clone()));
        }
    }

    /// The session is over for this page.
    fn fail(&self, fault: Fault) {
        self.wake_all(&fault);
        self.event(Event::Failed { fault, fatal: true });
        self.close();
    }

    pub(super) fn notice(&self, fault: Fault) {
        self.event(Event::Failed {
            fault,
            fatal: false,
        });
    }

    fn event(&self, event: Event) {
        if let Ok(value) = value::to_js(&event) {
            self.tell(value);
        }
    }

    fn tell(&self, event: JsValue) {
        // The embedder may have cancelled the stream.
        let _ = self.to_embedder.unbounded_send(event);
    }
}

/// Negotiation between members, over the host's channels.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum RoomSignal {
    Offer { sdp: String },
    Answer { sdp: String },
}
