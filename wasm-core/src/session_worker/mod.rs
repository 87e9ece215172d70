//! The thread that runs the session machine: its inputs from page, engine, channels and timer, its outputs back to them.

mod chat;
mod kept;
mod machine;
mod members;

use std::{collections::BTreeMap, sync::Arc};

use door::{Credentials, Fingerprint, Fingerprints};
use futures::{StreamExt, channel::mpsc};
use model::{NumericClass, gguf};
use plan::{MemberId, Power};
use session::{Asker, Command, Event, Fault, Host, HostConfig, Input, Output, Peer, PeerConfig};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::MessagePort;

use crate::{
    channel::link::LinkEvent,
    clock::{Timer, now_whole_ms},
    error::{BrowserError, of_model},
    messages::{FromEngine, FromSession, Offer, Opened, PageEvent, Question, ToEngine, ToSession},
    ports::{self, Parcel},
    random,
    threads::{self, Listening},
    value,
};
use chat::Chat;
use kept::{KeptAnswer, KeptSession};
use machine::Machine;
use members::{FromLink, Members};

/// Starts the thread.
pub fn run() {
    wasm_bindgen_futures::spawn_local(async {
        let (mut from_page, _listening) = threads::inbox::<ToSession>();
        let Some(first) = from_page.next().await else {
            return;
        };
        let (to_loop, from_here) = mpsc::unbounded();
        let Some(mut worker) = SessionWorker::start(first, to_loop) else {
            threads::report("the session worker was started without a port to the engine");
            return;
        };
        let mut happenings = futures::stream::select(from_page.map(Happening::Page), from_here);
        while let Some(happening) = happenings.next().await {
            worker.handle(happening);
            worker.carry_out();
        }
    });
}

enum Happening {
    Page(Parcel<ToSession>),
    Engine(FromEngine),
    Link(FromLink),
    Due,
}

type ToLoop = mpsc::UnboundedSender<Happening>;

struct SessionWorker {
    to_loop: ToLoop,
    offer: Offer,
    credentials: Credentials,
    engine: MessagePort,
    _engine_listening: Listening,
    /// Host, until the model is open.
    opening: Option<Hosting>,
    machine: Option<Machine>,
    chat: Option<Chat>,
    /// Number of this page's latest question.
    question: u32,
    /// Answers to this page as far as they have come, by question.
    written: BTreeMap<u32, Written>,
    members: Members,
    timer: Option<(u64, Timer)>,
    /// This page is behind others.
    hidden: bool,
    power: Power,
}

/// An answer so far.
#[derive(Default)]
struct Written {
    ids: Vec<u32>,
    text: String,
}

/// What a page starts a room with.
struct Hosting {
    context_columns: u32,
    wire: model::WireDtype,
    kept: Option<String>,
}

impl SessionWorker {
    fn start(first: Parcel<ToSession>, to_loop: ToLoop) -> Option<Self> {
        let mut values = first.values.into_iter();
        let engine: MessagePort = values.next()?.dyn_into().ok()?;
        let engine_listening = threads::listen(&engine, {
            let to_loop = to_loop.clone();
            move |parcel: Parcel<FromEngine>| tell(&to_loop, Happening::Engine(parcel.message))
        });
        let (offer, credentials, hosted) = match first.message {
            ToSession::Host {
                offer,
                model,
                context_columns,
                wire,
                keys,
                kept,
            } => (
                offer,
                Credentials::Host(keys),
                Some((
                    model,
                    Hosting {
                        context_columns,
                        wire,
                        kept,
                    },
                )),
            ),
            ToSession::Guest { offer, credentials } => (offer, credentials, None),
            _ => return None,
        };
        let (model, opening) = hosted.unzip();
        let worker = Self {
            to_loop,
            offer,
            credentials,
            engine,
            _engine_listening: engine_listening,
            opening,
            machine: None,
            chat: None,
            question: 0,
            written: BTreeMap::new(),
            members: Members::default(),
            timer: None,
            hidden: false,
            power: Power::Unknown,
        };
        if let Some(model) = model {
            let file: Vec<JsValue> = values.collect();
            let open = ports::send_copying(&worker.engine, &ToEngine::Open(model), &file);
            if let Err(error) = open {
                threads::report(&error.to_string());
            }
        }
        Some(worker)
    }

    fn handle(&mut self, happening: Happening) {
        match happening {
            Happening::Page(Parcel { message, values }) => self.on_page(message, values),
            Happening::Engine(message) => self.on_engine(message),
            Happening::Link(from) => self.on_link(from),
            Happening::Due => {
                self.timer = None;
                self.input(Input::Timeout);
            }
        }
    }

    fn on_page(&mut self, message: ToSession, values: Vec<JsValue>) {
        match message {
            ToSession::Host { .. } | ToSession::Guest { .. } => {}
            ToSession::Admitted { me } if self.machine.is_some() => {
                self.input(Input::Readmitted { me });
            }
            ToSession::Admitted { me } => {
                let Offer {
                    name,
                    engine,
                    budget_bytes,
                    metered,
                    tab,
                    ..
                } = self.offer.clone();
                let peer = Peer::new(PeerConfig {
                    me,
                    name,
                    budget_bytes,
                    metered,
                    engine: engine.into(),
                    client: tab,
                });
                self.start_machine(Machine::peer(peer, self.credentials.clone()));
            }
            ToSession::Admit { seat } => {
                match self.machine.as_mut().and_then(Machine::allocate_member) {
                    Some(Ok(member)) => {
                        self.keep();
                        self.to_page(&FromSession::Number { seat, member });
                    }
                    Some(Err(fault)) => self.to_page(&FromSession::Refused { seat, fault }),
                    None => {}
                }
            }
            ToSession::Channels { member, connection } => {
                self.add_member(member, connection, values)
            }
            ToSession::Certificates {
                member,
                mine,
                theirs,
            } => self.connected(
                member,
                Fingerprints {
                    mine: Fingerprint(mine),
                    theirs: Fingerprint(theirs),
                },
            ),
            ToSession::ConnectionFailed { member } => self.remove_member(member),
            ToSession::Signal { to, payload } => self.input(Input::LocalSignal { to, payload }),
            ToSession::Hidden { hidden } => {
                self.hidden = hidden;
                self.input(Input::Hidden { hidden });
            }
            ToSession::Power { power } => {
                self.power = power;
                self.input(Input::Power { power });
            }
            ToSession::Begin => self.input(Input::Command(Command::Begin)),
            ToSession::Generate { number, question } => self.ask(number, &question),
            ToSession::Stop { question } => self.input(Input::Command(Command::Stop { question })),
            ToSession::Leave => match self.machine {
                Some(_) => self.input(Input::Command(Command::Leave)),
                None => self.on_event(Event::Left),
            },
        }
    }

    /// The host has the model's words; a guest sends its question there.
    fn ask(&mut self, number: u32, question: &Question) {
        self.question = number;
        let command = match &self.chat {
            Some(chat) => chat.ask(Asker::host(number), question),
            None => written(question).map(|payload| Command::Ask {
                question: number,
                payload,
            }),
        };
        self.give(number, command);
    }

    /// A question of this page to the session, or why not to the page.
    fn give(&mut self, question: u32, command: Result<Command, Fault>) {
        match command {
            Ok(command) => self.input(Input::Command(command)),
            Err(fault) => self.on_event(Event::Refused { question, fault }),
        }
    }

    /// A member's question becomes the host's work.
    fn on_asked(&mut self, asker: Asker, payload: &str) {
        let command = read(payload).and_then(|question| match &self.chat {
            Some(chat) => chat.ask(asker, &question),
            None => Err(unreadable()),
        });
        let command = command.unwrap_or_else(|fault| Command::Refuse { asker, fault });
        self.input(Input::Command(command));
        self.keep();
    }

    fn on_engine(&mut self, message: FromEngine) {
        match message {
            FromEngine::Reading {
                bytes_done,
                bytes_total,
            } => self.tell_page(value::to_js(&PageEvent::Reading {
                bytes_done,
                bytes_total,
            })),
            FromEngine::Opened(opened) => {
                let Some(hosting) = self.opening.take() else {
                    return;
                };
                match opened.and_then(|opened| self.start_hosting(opened, hosting)) {
                    Ok(()) => self.to_page(&FromSession::Hosting {
                        asked: self.question,
                    }),
                    Err(fault) => self.to_page(&FromSession::Failed(fault)),
                }
            }
            FromEngine::Computed { job, result } => self.input(Input::Computed { job, result }),
            FromEngine::Echo => self.to_engine(&ToEngine::Echo),
            FromEngine::Notice(fault) => self.on_event(Event::Failed {
                fault,
                fatal: false,
            }),
        }
    }

    fn on_link(&mut self, from: FromLink) {
        let FromLink {
            member,
            connection,
            channel,
            event,
        } = from;
        if self.members.connection(member) != Some(connection) {
            return;
        }
        match event {
            LinkEvent::Open => {
                if self.members.opened(member, channel) {
                    self.to_page(&FromSession::Opened { member });
                }
            }
            LinkEvent::Message(bytes) => self.input(Input::Received {
                from: member,
                channel,
                bytes,
            }),
            LinkEvent::Closed => self.remove_member(member),
        }
    }

    fn add_member(&mut self, member: MemberId, connection: u64, values: Vec<JsValue>) {
        let to_loop = self.to_loop.clone();
        if self
            .members
            .insert(member, connection, values, move |event| {
                tell(&to_loop, Happening::Link(event))
            })
            .is_none()
        {
            threads::report("channels of a member did not arrive");
        }
    }

    /// Both ends now prove what they see of the connection.
    fn connected(&mut self, member: MemberId, fingerprints: Fingerprints) {
        match random::bytes() {
            Ok(nonce) => {
                if let Some(machine) = &mut self.machine {
                    machine.connected(now_whole_ms(), member, fingerprints, nonce);
                }
            }
            Err(error) => {
                self.on_event(Event::Failed {
                    fault: error.into(),
                    fatal: false,
                });
                self.remove_member(member);
            }
        }
    }

    /// Whatever ended first, the connection or one of its channels: the session is told once.
    fn remove_member(&mut self, member: MemberId) {
        if self.close_channels(member) {
            self.input(Input::Disconnected { member });
            self.to_page(&FromSession::Disconnect { member });
        }
    }

    /// True when there were any.
    fn close_channels(&mut self, member: MemberId) -> bool {
        let Some(connection) = self.members.remove(member) else {
            return false;
        };
        self.to_engine(&ToEngine::Gone { member, connection });
        true
    }

    fn start_hosting(&mut self, opened: Opened, hosting: Hosting) -> Result<(), Fault> {
        let header = parsed(&opened.header)?;
        let graph = model::arch::build(&header).map_err(|error| of_model(&error))?;
        self.chat = Some(Chat::new(&header)?);
        let class = NumericClass {
            wire: hosting.wire,
            chunk_columns: NumericClass::DEFAULT_CHUNK_COLUMNS,
            context_columns: hosting.context_columns.min(graph.max_context_columns),
        };
        let Offer {
            name,
            engine,
            budget_bytes,
            metered,
            ..
        } = self.offer.clone();
        let host = Host::new(HostConfig {
            graph: Arc::new(graph),
            name,
            budget_bytes,
            metered,
            class,
            engine: engine.into(),
            model: opened.model,
            members_may_ask: true,
        })?;
        self.start_machine(Machine::host(host, self.credentials.clone()));
        // What another version of the page kept is as good as nothing.
        let kept = hosting
            .kept
            .and_then(|kept| serde_json::from_str(&kept).ok());
        if let Some(kept) = kept {
            self.resume(kept);
        }
        Ok(())
    }

    /// The page was loaded again.
    fn resume(&mut self, kept: KeptSession) {
        self.question = kept.question;
        self.input(Input::Command(Command::Resume(kept.room)));
        for answer in kept.answers {
            let KeptAnswer {
                number,
                question,
                written,
            } = answer;
            if let Some(chat) = &self.chat {
                let command = chat.go_on(Asker::host(number), &question, written);
                self.give(number, command);
            }
        }
    }

    /// Kept before it is shown: what was shown is there after a reload.
    fn keep(&mut self) {
        let Some(room) = self.machine.as_mut().and_then(Machine::kept) else {
            return;
        };
        let chat = self.chat.iter();
        let answers = chat.flat_map(|chat| {
            let written = self.written.iter();
            written.filter_map(|(question, written)| chat.kept(*question, &written.ids))
        });
        let kept = KeptSession {
            room,
            question: self.question,
            answers: answers.collect(),
        };
        match serde_json::to_string(&kept) {
            Ok(session) => self.to_page(&FromSession::Keep { session }),
            Err(error) => threads::report(&error.to_string()),
        }
    }

    fn start_machine(&mut self, machine: Machine) {
        self.machine = Some(machine);
        let hidden = self.hidden;
        self.input(Input::Hidden { hidden });
        let power = self.power;
        self.input(Input::Power { power });
    }

    fn input(&mut self, input: Input) {
        if let Some(machine) = &mut self.machine {
            machine.handle(now_whole_ms(), input);
        }
    }

    /// Does what the machine wants done, and sets the clock for it.
    fn carry_out(&mut self) {
        while let Some(output) = self.machine.as_mut().and_then(Machine::poll_output) {
            match output {
                Output::Send { to, channel, bytes } => {
                    if self.members.send(to, channel, bytes).is_err()
                        && let Some(connection) = self.members.connection(to)
                    {
                        let closed = FromLink {
                            member: to,
                            connection,
                            channel,
                            event: LinkEvent::Closed,
                        };
                        tell(&self.to_loop, Happening::Link(closed));
                    }
                }
                Output::Compute { job, work } => self.to_engine(&ToEngine::Job { job, work }),
                Output::Connect { member, offer } => {
                    self.to_page(&FromSession::Connect { member, offer })
                }
                Output::RemoteSignal { from, payload } => {
                    self.to_page(&FromSession::Signal { from, payload })
                }
                Output::Proven { member } => {
                    if let Some(connection) = self.members.connection(member) {
                        self.to_engine(&ToEngine::Proven { member, connection });
                    }
                }
                Output::Disconnect { member } => {
                    self.close_channels(member);
                    self.to_page(&FromSession::Disconnect { member });
                }
                Output::Asked { asker, payload } => self.on_asked(asker, &payload),
                Output::Rejoin => self.to_page(&FromSession::Rejoin),
                Output::Event(event) => self.on_event(event),
            }
        }
        self.set_timer();
    }

    fn set_timer(&mut self) {
        let due = self.machine.as_ref().and_then(Machine::poll_timeout);
        if self.timer.as_ref().map(|(at, _)| *at) == due {
            return;
        }
        self.timer = due.map(|at| {
            let to_loop = self.to_loop.clone();
            let delay_ms = at.saturating_sub(now_whole_ms()) as f64;
            (
                at,
                Timer::after(delay_ms, move || tell(&to_loop, Happening::Due)),
            )
        });
    }

    fn on_event(&mut self, event: Event) {
        if let Event::Joined { member } = event {
            self.to_page(&FromSession::Joined { member });
        }
        let over = matches!(event, Event::Left | Event::Failed { fatal: true, .. });
        let value = self.for_page(&event);
        if let Event::Ready { .. }
        | Event::Token { .. }
        | Event::Finished { .. }
        | Event::Refused { .. } = event
        {
            self.keep();
        }
        self.tell_page(value);
        if let Event::Failed { fault, fatal: true } = event {
            self.to_page(&FromSession::Failed(fault));
        }
        if over {
            self.to_page(&FromSession::Over);
        }
    }

    fn tell_page(&self, event: Result<JsValue, BrowserError>) {
        let told = event.and_then(|event| {
            ports::send_copying(&threads::scope(), &FromSession::Event, &[event])
        });
        if let Err(error) = told {
            threads::report(&error.to_string());
        }
    }

    /// An event as a page sees it: an answer that ended has all of it.
    fn for_page(&mut self, event: &Event) -> Result<JsValue, BrowserError> {
        let value = value::to_js(event)?;
        let set = |key: &str, field: JsValue| {
            js_sys::Reflect::set(&value, &JsValue::from_str(key), &field)
                .map(drop)
                .map_err(|thrown| BrowserError::thrown(&thrown))
        };
        match event {
            Event::Token {
                question, id, text, ..
            } => {
                let written = self.written.entry(*question).or_default();
                written.ids.push(*id);
                written.text.push_str(text);
            }
            Event::Resumed {
                question,
                ids,
                text,
            } => {
                let (ids, text) = (ids.clone(), text.clone());
                self.written.insert(*question, Written { ids, text });
            }
            Event::Refused { question, .. } => drop(self.written.remove(question)),
            Event::Finished { question, rest, .. } => {
                let written = self.written.remove(question).unwrap_or_default();
                set("text", (written.text + rest).into())?;
                set("ids", value::to_js(&written.ids)?)?;
                if let Some(chat) = &self.chat {
                    set("promptIds", value::to_js(&chat.take_ended(*question))?)?;
                }
            }
            _ => {}
        }
        Ok(value)
    }

    fn to_engine(&self, message: &ToEngine) {
        if let Err(error) = ports::send(&self.engine, message) {
            threads::report(&error.to_string());
        }
    }

    fn to_page(&self, message: &FromSession) {
        if let Err(error) = ports::send(&threads::scope(), message) {
            threads::report(&error.to_string());
        }
    }
}

/// The loop ends with its worker only.
fn tell(to_loop: &ToLoop, happening: Happening) {
    drop(to_loop.unbounded_send(happening));
}

/// A question as it travels to the host.
fn written(question: &Question) -> Result<String, Fault> {
    serde_json::to_string(question).map_err(|_| unreadable())
}

fn read(payload: &str) -> Result<Question, Fault> {
    serde_json::from_str(payload).map_err(|_| unreadable())
}

fn unreadable() -> Fault {
    BrowserError::Misuse {
        detail: "a question that cannot be read".to_owned(),
    }
    .into()
}

fn parsed(bytes: &[u8]) -> Result<gguf::Header, Fault> {
    let corrupt = || model::ModelError::Corrupt {
        detail: "its header ends too early".to_owned(),
    };
    match gguf::parse(bytes, None) {
        Ok(gguf::Progress::Done(header)) => Ok(*header),
        Ok(gguf::Progress::NeedMore { .. }) => Err(of_model(&corrupt())),
        Err(error) => Err(of_model(&error)),
    }
}
