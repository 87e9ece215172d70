//! A room of virtual phones and everything that is on its way between them.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    sync::Arc,
};

use door::{
    Credentials, Fingerprint, Fingerprints, HOST_RANDOM_BYTES, HostKeys, Invitation, NONCE_BYTES,
};
use model::NumericClass;
use plan::{MemberId, Plan};
use session::{
    Channel, Command, Computed, EngineChoice, Event, Fault, Host, HostConfig, Input, JobId,
    ModelReference, Output, Peer, PeerConfig,
};

use crate::{
    model_file::ModelFile,
    network::Network,
    phone::{Machine, Phone},
};

/// Until both ends of a connection are told that it opened, ms.
const CONNECT_MS: u64 = 30;

/// A message as it went over the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who sent it.
    pub from: MemberId,
    /// For whom.
    pub to: MemberId,
    /// On which channel.
    pub channel: Channel,
    /// What.
    pub bytes: Vec<u8>,
}

enum Happening {
    Message(Message),
    Computed(MemberId, JobId, Computed),
    Connected(MemberId, MemberId),
    Disconnected(MemberId, MemberId),
}

/// Phones, links, virtual clock.
pub struct Room {
    /// Virtual time.
    pub now_ms: u64,
    /// Who is here.
    pub phones: BTreeMap<MemberId, Phone>,
    /// Activation messages sent since a test wanted them.
    pub tape: Option<Vec<Message>>,
    /// What everyone has the link of.
    keys: HostKeys,
    file: Arc<ModelFile>,
    links: BTreeSet<(MemberId, MemberId)>,
    network: Network,
    due: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    sequence: u64,
}

impl Room {
    /// A room of phones with these budgets, the host first; every connection is open and every phone measured.
    pub fn open(
        file: &Arc<ModelFile>,
        class: NumericClass,
        budgets_bytes: &[u64],
        network: Network,
    ) -> Self {
        let (host_bytes, peers) = budgets_bytes.split_first().unwrap();
        let host = Host::new(HostConfig {
            graph: Arc::clone(&file.graph),
            name: "host".to_owned(),
            budget_bytes: *host_bytes,
            class,
            engine: EngineChoice::Auto,
            model: ModelReference {
                id: "simulated".to_owned(),
                file: "/file".to_owned(),
                manifest: "/manifest".to_owned(),
            },
        });
        let keys = HostKeys::new(&[7; HOST_RANDOM_BYTES]);
        let machine = Machine::host(host.unwrap(), Credentials::Host(keys.clone()));
        let phone = Phone::new(machine, file);
        let mut room = Self {
            now_ms: 0,
            phones: BTreeMap::from([(MemberId::HOST, phone)]),
            tape: None,
            keys,
            file: Arc::clone(file),
            links: BTreeSet::new(),
            network,
            due: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            sequence: 0,
        };
        room.input(MemberId::HOST, Input::Timeout);
        for budget_bytes in peers {
            room.join(*budget_bytes);
        }
        room.run(2_000);
        room
    }

    /// A phone joins through the host.
    pub fn join(&mut self, budget_bytes: u64) -> MemberId {
        let Machine::Host(host) = &mut self.phones.get_mut(&MemberId::HOST).unwrap().machine else {
            panic!("member 0 is the host");
        };
        let me = host.session().session().allocate_member().unwrap();
        let peer = Peer::new(PeerConfig {
            me,
            name: format!("phone {}", me.0),
            budget_bytes,
            engine: EngineChoice::Auto,
        });
        let credentials = Invitation::new("simulated", &self.keys).credentials();
        let phone = Phone::new(Machine::peer(peer, credentials), &self.file);
        self.phones.insert(me, phone);
        self.connect(MemberId::HOST, me);
        me
    }

    /// Plans and loads with whoever is here.
    pub fn begin(&mut self) {
        self.input(MemberId::HOST, Input::Command(Command::Begin));
        self.run(2_000);
    }

    /// Asks, greedily, and lets `ms` pass.
    pub fn ask(&mut self, prompt_ids: &[u32], max_tokens: u32, ms: u64) {
        let question = Command::Generate {
            prompt_ids: prompt_ids.to_vec(),
            max_tokens,
            stop_ids: Vec::new(),
            next_token: Box::new(|logits, _| greedy(logits)),
        };
        self.input(MemberId::HOST, Input::Command(question));
        self.run(ms);
    }

    /// A phone's battery is pulled: nobody is told.
    pub fn kill(&mut self, member: MemberId) {
        assert!(
            self.phones.remove(&member).is_some(),
            "the fault took effect"
        );
    }

    /// The connection of two phones fails; both are told.
    pub fn cut(&mut self, a: MemberId, b: MemberId) {
        assert!(self.links.remove(&pair(a, b)), "the fault took effect");
        self.at(self.now_ms, Happening::Disconnected(a, b));
        self.at(self.now_ms, Happening::Disconnected(b, a));
    }

    /// Ids of the last answer.
    pub fn answer(&self) -> Vec<u32> {
        let mut answer = (0, Vec::new());
        for event in &self.phones.get(&MemberId::HOST).unwrap().events {
            if let Event::Token { request, id, .. } = event {
                if answer.0 != *request {
                    answer = (*request, Vec::new());
                }
                answer.1.push(*id);
            }
        }
        answer.1
    }

    /// What failed on the host's page.
    pub fn faults(&self) -> Vec<Fault> {
        let events = &self.phones.get(&MemberId::HOST).unwrap().events;
        let faults = events.iter().filter_map(|event| match event {
            Event::Failed { fault, .. } => Some(fault.clone()),
            _ => None,
        });
        faults.collect()
    }

    /// The last plan.
    pub fn plan(&self) -> Option<Plan> {
        let events = &self.phones.get(&MemberId::HOST).unwrap().events;
        events.iter().rev().find_map(|event| match event {
            Event::Planned { plan, .. } => Some(plan.clone()),
            _ => None,
        })
    }

    /// Tells a phone's session something, and does what it wants done.
    pub fn input(&mut self, member: MemberId, input: Input) {
        let now_ms = self.now_ms;
        let Some(phone) = self.phones.get_mut(&member) else {
            return;
        };
        phone.handle(now_ms, input);
        self.carry_out_all(member);
    }

    /// The channels opened at one end; the certificates are those of two simulated DTLS ends.
    fn connected(&mut self, member: MemberId, other: MemberId) {
        let (now_ms, nonce) = (self.now_ms, self.nonce());
        let Some(phone) = self.phones.get_mut(&member) else {
            return;
        };
        let fingerprints = Fingerprints {
            mine: certificate(member),
            theirs: certificate(other),
        };
        phone.connected(now_ms, other, fingerprints, nonce);
        self.carry_out_all(member);
    }

    /// Never the same.
    fn nonce(&mut self) -> [u8; NONCE_BYTES] {
        self.sequence += 1;
        let mut nonce = [0; NONCE_BYTES];
        let bytes = self.sequence.to_le_bytes();
        nonce
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = from);
        nonce
    }

    fn carry_out_all(&mut self, member: MemberId) {
        while let Some(output) = self.phones.get_mut(&member).and_then(Phone::poll_output) {
            self.carry_out(member, output);
        }
    }

    fn carry_out(&mut self, me: MemberId, output: Output) {
        match output {
            Output::Send { to, channel, bytes } => self.send(Message {
                from: me,
                to,
                channel,
                bytes,
            }),
            Output::Compute { job, work } => {
                let now_ms = self.now_ms;
                let (at_ms, result) = self.phones.get_mut(&me).unwrap().work(now_ms, work);
                self.at(at_ms, Happening::Computed(me, job, result));
            }
            // Offer and answer travel as they would; what is in them is nobody's business here.
            Output::Connect { member, offer } => {
                if offer {
                    self.signal(me, member, "offer");
                }
            }
            Output::RemoteSignal { from, payload } => match payload.as_str() {
                "offer" => self.signal(me, from, "answer"),
                _ => self.connect(me, from),
            },
            Output::Disconnect { member } => {
                if self.links.remove(&pair(me, member)) {
                    self.at(self.now_ms + 1, Happening::Disconnected(member, me));
                }
            }
            Output::Event(event) => self.phones.get_mut(&me).unwrap().events.push(event),
        }
    }

    /// Sends over the connection of the two, if there is one.
    pub fn send(&mut self, message: Message) {
        let Message {
            from, to, channel, ..
        } = message;
        if !self.links.contains(&pair(from, to)) {
            return;
        }
        if let Some(tape) = self
            .tape
            .as_mut()
            .filter(|_| channel == Channel::Activation)
        {
            tape.push(message.clone());
        }
        let at_ms = self.network.arrival_ms(self.now_ms, from, to, channel);
        self.at(at_ms, Happening::Message(message));
    }

    fn signal(&mut self, me: MemberId, to: MemberId, payload: &str) {
        let payload = payload.to_owned();
        if let Some(phone) = self.phones.get_mut(&me) {
            phone.handle(self.now_ms, Input::LocalSignal { to, payload });
        }
    }

    fn connect(&mut self, a: MemberId, b: MemberId) {
        self.links.insert(pair(a, b));
        self.at(self.now_ms + CONNECT_MS, Happening::Connected(a, b));
        self.at(self.now_ms + CONNECT_MS, Happening::Connected(b, a));
    }

    fn at(&mut self, ms: u64, happening: Happening) {
        self.sequence += 1;
        self.due.push(Reverse((ms, self.sequence)));
        self.happenings.insert(self.sequence, happening);
    }

    /// Lets virtual time pass.
    pub fn run(&mut self, ms: u64) {
        self.run_until(ms, |_| false);
    }

    /// Lets at most `ms` pass, until `enough`; whether it was enough.
    pub fn run_until(&mut self, ms: u64, enough: impl Fn(&Self) -> bool) -> bool {
        let end_ms = self.now_ms + ms;
        while !enough(self) {
            if !self.step(end_ms) {
                self.now_ms = end_ms;
                return enough(self);
            }
        }
        true
    }

    /// The next thing happens, if it is due by then.
    fn step(&mut self, end_ms: u64) -> bool {
        let timers = self.phones.iter();
        let timer = timers
            .filter_map(|(member, phone)| Some((phone.poll_timeout()?, *member)))
            .min();
        let message_ms = self.due.peek().map(|Reverse((at, _))| *at);
        match (message_ms, timer) {
            (Some(at), timer) if at <= end_ms && timer.is_none_or(|(due, _)| at <= due) => {
                self.now_ms = self.now_ms.max(at);
                self.happen();
            }
            (_, Some((at, member))) if at <= end_ms => {
                self.now_ms = self.now_ms.max(at);
                self.input(member, Input::Timeout);
            }
            _ => return false,
        }
        true
    }

    fn happen(&mut self) {
        let Some(Reverse((_, sequence))) = self.due.pop() else {
            return;
        };
        match self.happenings.remove(&sequence).unwrap() {
            Happening::Message(Message {
                from,
                to,
                channel,
                bytes,
            }) => {
                let arrives = self.links.contains(&pair(from, to));
                if arrives {
                    assert!(channel == Channel::Control || bytes.len() <= 4096);
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
                self.connected(member, other);
            }
            Happening::Disconnected(member, other) => {
                self.input(member, Input::Disconnected { member: other });
            }
        }
    }
}

/// Of the simulated DTLS end of a phone.
fn certificate(of: MemberId) -> Fingerprint {
    Fingerprint::of_certificate(&of.0.to_le_bytes())
}

fn pair(a: MemberId, b: MemberId) -> (MemberId, MemberId) {
    (a.min(b), a.max(b))
}

fn greedy(logits: &[f32]) -> u32 {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(id, _)| id as u32)
}
