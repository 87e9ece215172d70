//! Pages in memory: a network with latency, an engine that adds up, a virtual clock.
#![allow(dead_code, reason = "each test file uses some of it")]

mod engine;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use model::{Graph, NumericClass, WireDtype, segment};
use plan::MemberId;
use session::{
    Channel, Command, Computed, EngineChoice, Event, Host, HostConfig, Input, JobId,
    ModelReference, Output, Peer, PeerConfig,
};

pub use engine::{Engine, answer_to, graph};

/// One way, ms.
const HOP_MS: u64 = 2;

pub enum Machine {
    Host(Box<Host>),
    Peer(Box<Peer>),
}

pub struct Page {
    pub machine: Machine,
    pub engine: Engine,
    pub events: Vec<Event>,
}

enum Happening {
    Message(MemberId, MemberId, Channel, Vec<u8>),
    Computed(MemberId, JobId, Computed),
    Connected(MemberId, MemberId),
    Disconnected(MemberId, MemberId),
}

/// The pages of a room and everything that is on its way between them.
pub struct Room {
    pub now_ms: u64,
    pub pages: BTreeMap<MemberId, Page>,
    pub links: BTreeSet<(MemberId, MemberId)>,
    /// Pairs whose connections always fail.
    pub blocked: BTreeSet<(MemberId, MemberId)>,
    /// Activation messages delivered, by sender and receiver.
    pub activations: BTreeMap<(MemberId, MemberId), usize>,
    pub class: NumericClass,
    pub graph: Arc<Graph>,
    due: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    sequence: u64,
}

pub fn class() -> NumericClass {
    NumericClass {
        wire: WireDtype::F32,
        chunk_columns: 4,
        context_columns: 64,
    }
}

pub fn config(graph: &Arc<Graph>, held_bytes: u64) -> HostConfig {
    HostConfig {
        graph: Arc::clone(graph),
        name: "host".to_owned(),
        budget_bytes: offer_bytes(graph, held_bytes),
        class: class(),
        engine: EngineChoice::Auto,
        model: ModelReference {
            id: "tiny".to_owned(),
            file: "/models/tiny".to_owned(),
            manifest: "/models/tiny.manifest".to_owned(),
        },
    }
}

/// What a page offers to hold so many bytes of weights and KV.
fn offer_bytes(graph: &Graph, held_bytes: u64) -> u64 {
    held_bytes + segment::scratch_bytes(graph, class().chunk_columns)
}

impl Room {
    /// A host alone, with room for `held_bytes` of units.
    pub fn new(graph: Graph, held_bytes: u64) -> Self {
        let graph = Arc::new(graph);
        let host = Host::new(config(&graph, held_bytes)).unwrap();
        let page = Page {
            machine: Machine::Host(Box::new(host)),
            engine: Engine::new(&graph, class()),
            events: Vec::new(),
        };
        let mut room = Self {
            now_ms: 0,
            pages: BTreeMap::from([(MemberId::HOST, page)]),
            links: BTreeSet::new(),
            blocked: BTreeSet::new(),
            activations: BTreeMap::new(),
            class: class(),
            graph,
            due: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            sequence: 0,
        };
        room.input(MemberId::HOST, Input::Timeout);
        room
    }

    pub fn host(&mut self) -> &mut Host {
        match &mut self.pages.get_mut(&MemberId::HOST).unwrap().machine {
            Machine::Host(host) => host,
            Machine::Peer(_) => panic!("member 0 is the host"),
        }
    }

    /// A phone joins, with room for `held_bytes` of units.
    pub fn join(&mut self, held_bytes: u64) -> MemberId {
        let me = self.host().allocate_member().unwrap();
        let peer = Peer::new(PeerConfig {
            me,
            name: format!("phone {}", me.0),
            budget_bytes: offer_bytes(&self.graph, held_bytes),
            engine: EngineChoice::Auto,
        });
        let page = Page {
            machine: Machine::Peer(Box::new(peer)),
            engine: Engine::new(&self.graph, self.class),
            events: Vec::new(),
        };
        self.pages.insert(me, page);
        self.connect(MemberId::HOST, me);
        me
    }

    fn connect(&mut self, a: MemberId, b: MemberId) {
        if self.blocked.contains(&(a.min(b), a.max(b))) {
            return;
        }
        self.links.insert((a.min(b), a.max(b)));
        self.after(HOP_MS, Happening::Connected(a, b));
        self.after(HOP_MS, Happening::Connected(b, a));
    }

    /// A page is gone: nothing of it, and nothing to it, arrives any more.
    pub fn kill(&mut self, member: MemberId) {
        self.pages.remove(&member);
    }

    /// The connection of two pages ends; both are told.
    pub fn cut(&mut self, a: MemberId, b: MemberId) {
        if self.links.remove(&(a.min(b), a.max(b))) {
            self.after(0, Happening::Disconnected(a, b));
            self.after(0, Happening::Disconnected(b, a));
        }
    }

    pub fn command(&mut self, member: MemberId, command: Command) {
        self.input(member, Input::Command(command));
    }

    pub fn ask(&mut self, prompt_ids: &[u32], max_tokens: u32) {
        self.command(
            MemberId::HOST,
            Command::Generate {
                prompt_ids: prompt_ids.to_vec(),
                max_tokens,
                stop_ids: vec![0],
                next_token: Box::new(|logits, _| engine::largest(logits)),
            },
        );
    }

    pub fn send(&mut self, from: MemberId, to: MemberId, channel: Channel, bytes: Vec<u8>) {
        self.after(HOP_MS, Happening::Message(from, to, channel, bytes));
    }

    fn after(&mut self, ms: u64, happening: Happening) {
        self.sequence += 1;
        self.due.push(Reverse((self.now_ms + ms, self.sequence)));
        self.happenings.insert(self.sequence, happening);
    }

    pub fn input(&mut self, member: MemberId, input: Input) {
        let now_ms = self.now_ms;
        let Some(page) = self.pages.get_mut(&member) else {
            return;
        };
        match &mut page.machine {
            Machine::Host(host) => host.handle(now_ms, input),
            Machine::Peer(peer) => peer.handle(now_ms, input),
        }
        self.carry_out(member);
    }

    fn carry_out(&mut self, me: MemberId) {
        loop {
            let Some(page) = self.pages.get_mut(&me) else {
                return;
            };
            let output = match &mut page.machine {
                Machine::Host(host) => host.poll_output(),
                Machine::Peer(peer) => peer.poll_output(),
            };
            match output {
                None => return,
                Some(Output::Send { to, channel, bytes }) => {
                    if self.links.contains(&(me.min(to), me.max(to))) {
                        self.send(me, to, channel, bytes);
                    }
                }
                Some(Output::Compute { job, work }) => {
                    for (ms, result) in page.engine.work(work) {
                        self.after(ms, Happening::Computed(me, job, result));
                    }
                }
                Some(Output::Connect { member, offer }) => {
                    if offer {
                        let payload = "offer".to_owned();
                        self.input(
                            me,
                            Input::LocalSignal {
                                to: member,
                                payload,
                            },
                        );
                    }
                }
                Some(Output::RemoteSignal { from, payload }) => match payload.as_str() {
                    "offer" => {
                        let payload = "answer".to_owned();
                        self.input(me, Input::LocalSignal { to: from, payload });
                    }
                    _ => self.connect(me, from),
                },
                Some(Output::Disconnect { member }) => {
                    if self.links.remove(&(me.min(member), me.max(member))) {
                        self.after(HOP_MS, Happening::Disconnected(member, me));
                    }
                }
                Some(Output::Event(event)) => page.events.push(event),
            }
        }
    }

    /// Lets time pass.
    pub fn run(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        loop {
            let timeouts = self.pages.iter().filter_map(|(id, page)| {
                let due = match &page.machine {
                    Machine::Host(host) => host.poll_timeout(),
                    Machine::Peer(peer) => peer.poll_timeout(),
                };
                Some((due?, *id))
            });
            let timeout = timeouts.min();
            let message = self.due.peek().map(|Reverse((at, _))| *at);
            match (message, timeout) {
                (Some(at), due) if at <= end_ms && due.is_none_or(|(due, _)| at <= due) => {
                    self.now_ms = self.now_ms.max(at);
                    self.happen();
                }
                (_, Some((at, member))) if at <= end_ms => {
                    assert!(at > self.now_ms || self.now_ms == 0 || at == self.now_ms);
                    self.now_ms = self.now_ms.max(at);
                    self.input(member, Input::Timeout);
                }
                _ => break,
            }
        }
        self.now_ms = end_ms;
    }

    fn happen(&mut self) {
        let Some(Reverse((_, sequence))) = self.due.pop() else {
            return;
        };
        match self.happenings.remove(&sequence).unwrap() {
            Happening::Message(from, to, channel, bytes) => {
                if self.links.contains(&(from.min(to), from.max(to)))
                    && self.pages.contains_key(&to)
                {
                    if channel == Channel::Activation {
                        assert!(bytes.len() <= 4096);
                        *self.activations.entry((from, to)).or_default() += 1;
                    }
                    self.input(
                        to,
                        Input::Received {
                            from,
                            channel,
                            bytes,
                        },
                    );
                }
            }
            Happening::Computed(member, job, result) => {
                self.input(member, Input::Computed { job, result });
            }
            Happening::Connected(member, other) => {
                self.input(member, Input::Connected { member: other });
            }
            Happening::Disconnected(member, other) => {
                self.input(member, Input::Disconnected { member: other });
            }
        }
    }

    pub fn events(&self, member: MemberId) -> &[Event] {
        &self.pages.get(&member).unwrap().events
    }

    /// Ids of the last answer.
    pub fn answer(&self) -> Vec<u32> {
        let tokens = self
            .events(MemberId::HOST)
            .iter()
            .filter_map(|event| match event {
                Event::Token { request, id, .. } => Some((*request, *id)),
                _ => None,
            });
        let tokens: Vec<_> = tokens.collect();
        let last = tokens.last().map(|(request, _)| *request);
        tokens
            .into_iter()
            .filter(|(request, _)| Some(*request) == last)
            .map(|(_, id)| id)
            .collect()
    }

    /// Why the last answer ended.
    pub fn finished(&self) -> Option<String> {
        self.events(MemberId::HOST)
            .iter()
            .rev()
            .find_map(|event| match event {
                Event::Finished { reason, .. } => Some(reason.clone()),
                _ => None,
            })
    }

    /// Codes of what failed on a page, with whether that was the end.
    pub fn failures(&self, member: MemberId) -> Vec<(String, bool)> {
        let failures = self.events(member).iter().filter_map(|event| match event {
            Event::Failed { fault, fatal } => Some((fault.code.clone(), *fatal)),
            _ => None,
        });
        failures.collect()
    }

    pub fn is_ready(&self, member: MemberId) -> bool {
        let ready = |event: &Event| matches!(event, Event::Ready { .. });
        self.events(member).iter().any(ready)
    }

    /// Members of the plan's stages, in ring order.
    pub fn ring(&self) -> Vec<u32> {
        let plan = self
            .events(MemberId::HOST)
            .iter()
            .rev()
            .find_map(|event| match event {
                Event::Planned { plan, .. } => Some(plan.clone()),
                _ => None,
            });
        plan.unwrap()
            .stages
            .iter()
            .map(|stage| stage.member.0)
            .collect()
    }
}
