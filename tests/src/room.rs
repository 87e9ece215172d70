//! A room of virtual phones and everything that is on its way between them.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    sync::Arc,
};

use door::{
    Credentials, Fingerprint, Fingerprints, HOST_RANDOM_BYTES, HostKeys, Invitation, NONCE_BYTES,
};
use model::{Graph, NumericClass};
use plan::{MemberId, Plan, Power};
use session::{
    Asker, Channel, Command, Computed, EngineChoice, Event, Fault, Host, HostConfig, Input, JobId,
    ModelReference, Output, Peer, PeerConfig, Writer,
};

use crate::{
    compute::{Compute, Storage, adding::Adding, executing::Executing},
    interceptor::{Attack, Interceptor},
    model_file::ModelFile,
    network::Network,
    phone::{Machine, Phone},
};

/// Until both ends of a connection are told that it opened, ms.
const CONNECT_MS: u64 = 30;

/// Until a channel's other end learns that its tab was closed, ms.
const CLOSED_MS: u64 = 16;
/// Until a page that was given a number and is not in knocks again, ms.
const PATIENCE_MS: u64 = 5_000;
/// How late a message is that its successors overtake, ms.
const LATE_MS: u64 = 40;
/// A way through the signaling server, and between attempts, ms.
const KNOCK_MS: u64 = 300;
/// A session that wants to be woken more often without any time passing never sleeps.
const MAX_TIMEOUTS_AT_ONCE: u32 = 1_000;

/// What a room's phones run.
#[derive(Clone)]
pub enum Model {
    /// Real weights on the CPU executor.
    Real(Arc<ModelFile>),
    /// The engine that adds up, with so many ms per unit and column.
    Adding(Arc<Graph>, f64),
}

impl Model {
    /// Its graph.
    pub fn graph(&self) -> &Arc<Graph> {
        match self {
            Self::Real(file) => &file.graph,
            Self::Adding(graph, _) => graph,
        }
    }

    fn engine(&self, class: NumericClass, storage: &Storage) -> Box<dyn Compute> {
        match self {
            Self::Real(file) => Box::new(Executing::new(file, storage.clone())),
            Self::Adding(graph, ms) => Box::new(Adding::new(graph, class, storage.clone(), *ms)),
        }
    }
}

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
    /// On a page, whatever number its phone has by then.
    Computed(u64, JobId, Computed),
    Connected(MemberId, MemberId),
    Disconnected(MemberId, MemberId),
    /// A page asks at the server to be let in again.
    Knock(u64),
    Thaw(u64),
    /// A page stops for so many ms.
    Freeze(u64, u64),
    /// A page is in front again.
    Shown(u64),
}

/// What happens to the next activation messages of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mischief {
    /// One is lost, though channels are reliable.
    Drop,
    /// One comes twice, the second time so many ms later.
    Duplicate(u64),
    /// One comes after its successors.
    Reorder,
    /// One has a flipped bit in its header.
    Corrupt,
    /// One takes so many ms more, and what follows on its channel waits behind it.
    Delay(u64),
}

/// Phones, links, virtual clock.
pub struct Room {
    /// Virtual time.
    pub now_ms: u64,
    /// Who is here.
    pub phones: BTreeMap<MemberId, Phone>,
    /// Delays between them.
    pub network: Network,
    /// Activation messages sent since a test wanted them.
    pub tape: Option<Vec<Message>>,
    /// Activation messages delivered, by sender and receiver.
    pub activations: BTreeMap<(MemberId, MemberId), usize>,
    /// Timers that were due at this very time.
    timeouts: u32,
    /// Done to the next activation message, of anyone.
    pub mischief: Option<Mischief>,
    /// The signaling server answers from then on.
    pub server_up_at_ms: u64,
    /// Pairs whose connections always fail.
    pub unreachable: BTreeSet<(MemberId, MemberId)>,
    /// Numeric class of the room.
    pub class: NumericClass,
    pub(crate) model: Model,
    /// Who sits between the phones, if anybody does.
    pub interceptor: Option<Interceptor>,
    /// What everyone has the link of.
    pub(crate) keys: HostKeys,
    links: BTreeSet<(MemberId, MemberId)>,
    /// Number of the last question.
    pub(crate) question: u32,
    due: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    sequence: u64,
}

/// What a host starts a room with.
pub fn host_config(graph: &Arc<Graph>, class: NumericClass, budget_bytes: u64) -> HostConfig {
    HostConfig {
        graph: Arc::clone(graph),
        name: "host".to_owned(),
        budget_bytes,
        metered: false,
        class,
        engine: EngineChoice::Auto,
        model: ModelReference {
            id: "simulated".to_owned(),
            file: Some("/file".to_owned()),
            manifest: Some("/manifest".to_owned()),
        },
        members_may_ask: true,
    }
}

impl Room {
    /// A room of phones with these budgets, the host first; every connection is open and every phone measured.
    pub fn open(
        model: Model,
        class: NumericClass,
        budgets_bytes: &[u64],
        network: Network,
    ) -> Self {
        let (host_bytes, peers) = budgets_bytes.split_first().unwrap();
        let config = host_config(model.graph(), class, *host_bytes);
        Self::hosted(config, model, peers, network)
    }

    /// The same, of a host with a configuration of its own.
    pub fn hosted(config: HostConfig, model: Model, peers: &[u64], network: Network) -> Self {
        let (class, host_bytes) = (config.class, config.budget_bytes);
        let host = Host::new(config).unwrap();
        let mut room = Self {
            now_ms: 0,
            phones: BTreeMap::new(),
            interceptor: None,
            network,
            tape: None,
            activations: BTreeMap::new(),
            timeouts: 0,
            mischief: None,
            server_up_at_ms: 0,
            unreachable: BTreeSet::new(),
            class,
            model,
            keys: HostKeys::new(&[7; HOST_RANDOM_BYTES]),
            links: BTreeSet::new(),
            question: 0,
            due: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            sequence: 0,
        };
        let machine = Machine::host(host, Credentials::Host(room.keys.clone()));
        let storage = Storage::default();
        room.add_phone(
            MemberId::HOST,
            machine,
            host_bytes,
            storage,
            "host".to_owned(),
        );
        room.input(MemberId::HOST, Input::Timeout);
        for budget_bytes in peers {
            room.join(*budget_bytes);
        }
        room.run(2_000);
        room
    }

    pub(crate) fn add_phone(
        &mut self,
        me: MemberId,
        machine: Machine,
        budget_bytes: u64,
        storage: Storage,
        client: String,
    ) {
        let engine = self.model.engine(self.class, &storage);
        self.sequence += 1;
        let phone = Phone::new(
            self.sequence,
            client,
            machine,
            budget_bytes,
            storage,
            engine,
        );
        self.phones.insert(me, phone);
    }

    /// The host's session.
    pub fn host(&mut self) -> &mut Host {
        match &mut self.phone_mut(MemberId::HOST).machine {
            Machine::Host(host) => host.session().session(),
            Machine::Peer(_) => panic!("member 0 is the host"),
        }
    }

    /// A phone that is here.
    pub fn phone(&self, member: MemberId) -> &Phone {
        self.phones.get(&member).unwrap()
    }

    /// A phone that is here.
    pub fn phone_mut(&mut self, member: MemberId) -> &mut Phone {
        self.phones.get_mut(&member).unwrap()
    }

    /// A phone joins through the host, with nothing in its storage.
    pub fn join(&mut self, budget_bytes: u64) -> MemberId {
        self.join_with(budget_bytes, Storage::default())
    }

    /// A phone joins through the host, with what its browser stored before.
    pub fn join_with(&mut self, budget_bytes: u64, storage: Storage) -> MemberId {
        self.try_join(budget_bytes, storage).unwrap()
    }

    /// A tab is opened again, with what its browser stored.
    pub fn come_back(&mut self, budget_bytes: u64, storage: Storage, client: String) -> MemberId {
        self.admit(budget_bytes, storage, client).unwrap()
    }

    /// The same, unless the room is full.
    pub fn try_join(&mut self, budget_bytes: u64, storage: Storage) -> Result<MemberId, Fault> {
        let client = format!("client {}", self.sequence);
        self.admit(budget_bytes, storage, client)
    }

    fn admit(
        &mut self,
        budget_bytes: u64,
        storage: Storage,
        client: String,
    ) -> Result<MemberId, Fault> {
        let me = self.host().allocate_member()?;
        let peer = Peer::new(PeerConfig {
            me,
            name: format!("phone {}", me.0),
            budget_bytes,
            metered: false,
            engine: EngineChoice::Auto,
            client: Some(client.clone()),
        });
        let credentials = Invitation::new("simulated", &self.keys).credentials();
        self.add_phone(
            me,
            Machine::peer(peer, credentials),
            budget_bytes,
            storage,
            client,
        );
        self.connect(MemberId::HOST, me);
        Ok(me)
    }

    /// Plans and loads with whoever is here.
    pub fn begin(&mut self) {
        self.command(MemberId::HOST, Command::Begin);
        self.run(2_000);
    }

    /// A person wants something on a phone's page.
    pub fn command(&mut self, member: MemberId, command: Command) {
        self.input(member, Input::Command(command));
    }

    /// Asks, greedily. The question's number.
    pub fn ask(&mut self, prompt_ids: &[u32], max_tokens: u32) -> u32 {
        self.ask_until(prompt_ids, max_tokens, Vec::new())
    }

    /// Asks, greedily; a token of `stop_ids` ends the answer.
    pub fn ask_until(&mut self, prompt_ids: &[u32], max_tokens: u32, stop_ids: Vec<u32>) -> u32 {
        self.question += 1;
        let question = Command::Generate {
            asker: Asker::host(self.question),
            prompt_ids: prompt_ids.to_vec(),
            written_ids: Vec::new(),
            max_tokens,
            stop_ids,
            writer: Box::new(Greedy),
        };
        self.command(MemberId::HOST, question);
        self.question
    }

    /// Stops what was asked last.
    pub fn stop(&mut self) {
        let question = self.question;
        self.command(MemberId::HOST, Command::Stop { question });
    }

    /// A phone's battery is pulled: nobody is told.
    pub fn kill(&mut self, member: MemberId) {
        let gone = self.phones.remove(&member);
        assert!(gone.is_some(), "the fault took effect");
    }

    /// A tab is closed: its channels close.
    pub fn close_tab(&mut self, member: MemberId) -> Storage {
        self.take_away(member).storage
    }

    /// The phone of a tab that was closed.
    pub(crate) fn take_away(&mut self, member: MemberId) -> Phone {
        let gone = self.phones.remove(&member).unwrap();
        let linked: Vec<_> = self
            .links
            .iter()
            .copied()
            .filter(|pair| pair.0 == member || pair.1 == member)
            .collect();
        for (a, b) in linked {
            self.links.remove(&(a, b));
            let other = if a == member { b } else { a };
            self.at(
                self.now_ms + CLOSED_MS,
                Happening::Disconnected(other, member),
            );
        }
        gone
    }

    /// A page stops for a while, and then goes on with what waited.
    pub fn freeze(&mut self, member: MemberId, ms: u64) {
        let now_ms = self.now_ms;
        let phone = self.phone_mut(member);
        phone.freeze();
        let page = phone.page;
        self.at(now_ms + ms, Happening::Thaw(page));
    }

    /// The same, some time from now, if it is still there.
    pub fn freeze_after(&mut self, member: MemberId, after_ms: u64, ms: u64) {
        let page = self.phone(member).page;
        self.at(self.now_ms + after_ms, Happening::Freeze(page, ms));
    }

    /// A page goes behind others for a while, and goes on there.
    pub fn hide(&mut self, member: MemberId, ms: u64) {
        let now_ms = self.now_ms;
        let phone = self.phone_mut(member);
        phone.hidden_until_ms = Some(now_ms + ms);
        let page = phone.page;
        self.input(member, Input::Hidden { hidden: true });
        self.at(now_ms + ms, Happening::Shown(page));
    }

    /// What a phone's battery does from now on.
    pub fn charge(&mut self, member: MemberId, power: Power) {
        self.input(member, Input::Power { power });
    }

    /// The connection of two phones fails; both are told.
    pub fn cut(&mut self, a: MemberId, b: MemberId) {
        assert!(self.links.remove(&pair(a, b)), "the fault took effect");
        self.at(self.now_ms, Happening::Disconnected(a, b));
        self.at(self.now_ms, Happening::Disconnected(b, a));
    }

    /// Things that are on their way.
    pub fn pending(&self) -> usize {
        self.happenings.len()
    }

    /// Whom a phone has a connection to.
    pub fn linked_to(&self, member: MemberId) -> Vec<MemberId> {
        let links = self
            .links
            .iter()
            .filter_map(|(a, b)| match (*a == member, *b == member) {
                (true, _) => Some(*b),
                (_, true) => Some(*a),
                _ => None,
            });
        links
            .filter(|other| self.phones.contains_key(other))
            .collect()
    }

    /// What a phone's page was told.
    pub fn events(&self, member: MemberId) -> impl DoubleEndedIterator<Item = &Event> {
        self.phone(member).events.iter().map(|(_, event)| event)
    }

    /// Ids of the last question that got any.
    pub fn answer(&self) -> Vec<u32> {
        let tokens = self.events(MemberId::HOST).filter_map(|event| match event {
            Event::Token { question, .. } => Some(*question),
            _ => None,
        });
        tokens.max().map_or(Vec::new(), |last| self.answer_to(last))
    }

    /// Ids of the answer to a question.
    pub fn answer_to(&self, question: u32) -> Vec<u32> {
        let tokens = self.events(MemberId::HOST).filter_map(|event| match event {
            Event::Token {
                question: of, id, ..
            } if *of == question => Some(*id),
            _ => None,
        });
        tokens.collect()
    }

    /// Why the last answer that ended did.
    pub fn finished(&self) -> Option<&str> {
        self.events(MemberId::HOST)
            .rev()
            .find_map(|event| match event {
                Event::Finished { reason, .. } => Some(reason.word()),
                _ => None,
            })
    }

    /// Answers that ended.
    pub fn answers(&self) -> usize {
        let finished = |event: &&Event| matches!(event, Event::Finished { .. });
        self.events(MemberId::HOST).filter(finished).count()
    }

    /// What failed on a phone's page, and whether that was the end for it.
    pub fn faults(&self, member: MemberId) -> Vec<(&Fault, bool)> {
        let faults = self.events(member).filter_map(|event| match event {
            Event::Failed { fault, fatal } => Some((fault, *fatal)),
            _ => None,
        });
        faults.collect()
    }

    /// Codes of what failed on a phone's page, and of why its questions were refused.
    pub fn codes(&self, member: MemberId) -> Vec<&str> {
        let codes = self.events(member).filter_map(|event| match event {
            Event::Failed { fault, .. } | Event::Refused { fault, .. } => Some(fault.code.as_str()),
            _ => None,
        });
        codes.collect()
    }

    /// Codes of what interrupted the room, as the host's page was told.
    pub fn interruptions(&self) -> Vec<&str> {
        let interruptions = self.events(MemberId::HOST).filter_map(|event| match event {
            Event::Interrupted { fault } => Some(fault.code.as_str()),
            _ => None,
        });
        interruptions.collect()
    }

    /// The last plan.
    pub fn plan(&self) -> Option<&Plan> {
        self.events(MemberId::HOST)
            .rev()
            .find_map(|event| match event {
                Event::Planned { plan, .. } => Some(plan),
                _ => None,
            })
    }

    /// Members of the last plan's stages, in ring order.
    pub fn ring(&self) -> Vec<MemberId> {
        let stages = &self.plan().unwrap().stages;
        stages.iter().map(|stage| stage.member).collect()
    }

    /// Whether a phone's page was told that every segment is loaded.
    pub fn is_ready(&self, member: MemberId) -> bool {
        let ready = |event: &Event| matches!(event, Event::Ready { .. });
        self.events(member).any(ready)
    }

    /// Tells a phone's session something, and does what it wants done.
    pub fn input(&mut self, member: MemberId, input: Input) {
        let now_ms = self.now_ms;
        let Some(phone) = self.phones.get_mut(&member) else {
            return;
        };
        phone.handle(now_ms, input);
        self.carry_out(member);
    }

    /// The channels opened at one end; the certificates are those of two simulated DTLS ends.
    fn connected(&mut self, member: MemberId, other: MemberId) {
        let (now_ms, nonce) = (self.now_ms, self.nonce());
        let Some(phone) = self.phones.get_mut(&member) else {
            return;
        };
        let fingerprints = Fingerprints {
            mine: certificate(member),
            theirs: match self.interceptor {
                Some(_) => Interceptor::certificate(),
                None => certificate(other),
            },
        };
        phone.connected(now_ms, other, fingerprints, nonce);
        self.carry_out(member);
    }

    /// Whoever introduces phones from now on sits between them.
    pub fn intercept(&mut self, attack: Attack) {
        self.interceptor = Some(Interceptor::new(attack, certificate));
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

    fn carry_out(&mut self, me: MemberId) {
        while let Some(output) = self.phones.get_mut(&me).and_then(Phone::poll_output) {
            self.do_one(me, output);
        }
    }

    fn do_one(&mut self, me: MemberId, output: Output) {
        let now_ms = self.now_ms;
        match output {
            Output::Send { to, channel, bytes } => self.send(Message {
                from: me,
                to,
                channel,
                bytes,
            }),
            Output::Compute { job, work } => {
                let phone = self.phone_mut(me);
                let page = phone.page;
                for (at_ms, result) in phone.work(now_ms, work) {
                    self.at(at_ms, Happening::Computed(page, job, result));
                }
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
            Output::Proven { .. } => {}
            Output::Disconnect { member } => {
                if self.links.remove(&pair(me, member)) {
                    self.at(now_ms + 1, Happening::Disconnected(member, me));
                }
            }
            Output::Asked { asker, payload } => {
                let command = understood(asker, &payload);
                self.input(me, Input::Command(command));
            }
            Output::Rejoin => {
                let page = self.phone(me).page;
                self.at(now_ms + KNOCK_MS, Happening::Knock(page));
            }
            Output::Event(event) => self.phone_mut(me).events.push((now_ms, event)),
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
        match &mut self.interceptor {
            Some(interceptor) => interceptor.pass(message),
            None => vec![message],
        }
        .into_iter()
        .for_each(|message| self.carry(message));
    }

    fn carry(&mut self, message: Message) {
        let Message {
            from, to, channel, ..
        } = message;
        let mischief = self.mischief.take_if(|_| channel == Channel::Activation);
        if let Some(Mischief::Delay(ms)) = mischief {
            self.network.hold(self.now_ms + ms, from, to, channel);
        }
        let at_ms = self.network.arrival_ms(self.now_ms, from, to, channel);
        let mut message = message;
        match mischief {
            Some(Mischief::Drop) => return,
            Some(Mischief::Duplicate(ms)) => {
                self.at(at_ms + ms, Happening::Message(message.clone()));
            }
            Some(Mischief::Reorder) => {
                return self.at(at_ms + LATE_MS, Happening::Message(message));
            }
            Some(Mischief::Corrupt) => {
                // Any byte of the header, the magic number among them; flags and the request's number excepted, with which it may
                // be a right frame of another answer. Nothing but DTLS tells these apart.
                let bytes = [0..3, 4..8, 12..proto::frame::HEADER_BYTES]
                    .into_iter()
                    .flatten();
                let bytes: Vec<usize> = bytes.collect();
                let byte = bytes[self.sequence as usize % bytes.len()];
                message.bytes[byte] ^= 1 << (self.sequence % 8);
            }
            Some(Mischief::Delay(_)) | None => {}
        }
        self.at(at_ms, Happening::Message(message));
    }

    fn signal(&mut self, me: MemberId, to: MemberId, payload: &str) {
        let payload = payload.to_owned();
        if let Some(phone) = self.phones.get_mut(&me) {
            phone.handle(self.now_ms, Input::LocalSignal { to, payload });
        }
    }

    fn connect(&mut self, a: MemberId, b: MemberId) {
        let awake = |member| {
            self.phones
                .get(&member)
                .is_some_and(|phone| phone.frozen.is_none())
        };
        if self.unreachable.contains(&pair(a, b)) || !awake(a) || !awake(b) {
            return;
        }
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
                if at > self.now_ms {
                    self.timeouts = 0;
                }
                self.timeouts += 1;
                assert!(
                    self.timeouts < MAX_TIMEOUTS_AT_ONCE,
                    "a timer of {member:?} is due again and again: time stands still"
                );
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
            Happening::Message(message) => self.deliver(message),
            Happening::Computed(page, job, result) => {
                if let Some(member) = self.member_of(page) {
                    self.input(member, Input::Computed { job, result });
                }
            }
            Happening::Knock(page) => self.knock(page),
            Happening::Thaw(page) => {
                if let Some(member) = self.member_of(page) {
                    for input in self.phone_mut(member).thaw() {
                        self.input(member, input);
                    }
                    self.input(member, Input::Timeout);
                }
            }
            Happening::Freeze(page, ms) => {
                if let Some(member) = self.member_of(page) {
                    self.freeze(member, ms);
                }
            }
            Happening::Shown(page) => {
                let now_ms = self.now_ms;
                let shown = |phone: &Phone| phone.hidden_until_ms.is_some_and(|ms| ms <= now_ms);
                let member = self.member_of(page);
                if let Some(member) = member.filter(|member| shown(self.phone(*member))) {
                    self.phone_mut(member).hidden_until_ms = None;
                    self.input(member, Input::Hidden { hidden: false });
                }
            }
            Happening::Connected(member, other) => {
                self.connected(member, other);
            }
            Happening::Disconnected(member, other) => {
                self.input(member, Input::Disconnected { member: other });
            }
        }
    }

    fn member_of(&self, page: u64) -> Option<MemberId> {
        let mut phones = self.phones.iter();
        Some(*phones.find(|(_, phone)| phone.page == page)?.0)
    }

    /// A page that lost its host gets a new number, if server and host are there.
    fn knock(&mut self, page: u64) {
        let seeks = |phone: &Phone| phone.is_seeking() && !phone.is_over();
        let Some(member) = self
            .member_of(page)
            .filter(|member| seeks(self.phone(*member)))
        else {
            return;
        };
        // A page that stands still asks nobody.
        let asks = self.phone(member).frozen.is_none();
        let host = self.phones.get(&MemberId::HOST);
        let answers = host.is_some_and(|host| host.frozen.is_none() && !host.is_over());
        let admitted = (asks && answers && self.now_ms >= self.server_up_at_ms)
            .then(|| self.host().allocate_member());
        let Some(Ok(me)) = admitted else {
            return self.at(self.now_ms + KNOCK_MS, Happening::Knock(page));
        };
        let phone = self.phones.remove(&member).unwrap();
        self.phones.insert(me, phone);
        self.input(me, Input::Readmitted { me });
        self.connect(MemberId::HOST, me);
        self.at(self.now_ms + PATIENCE_MS, Happening::Knock(page));
    }

    fn deliver(&mut self, message: Message) {
        let Message {
            from,
            to,
            channel,
            bytes,
        } = message;
        if !self.links.contains(&pair(from, to)) || !self.phones.contains_key(&to) {
            return;
        }
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

/// Of the simulated DTLS end of a phone.
fn certificate(of: MemberId) -> Fingerprint {
    Fingerprint::of_certificate(&of.0.to_le_bytes())
}

fn pair(a: MemberId, b: MemberId) -> (MemberId, MemberId) {
    (a.min(b), a.max(b))
}

/// Writes the likeliest tokens, as numbers.
pub(crate) struct Greedy;

impl Writer for Greedy {
    fn next(&mut self, logits: &[f32], _ids: &[u32]) -> u32 {
        greedy(logits)
    }

    fn text(&mut self, id: u32) -> String {
        format!("{id} ")
    }

    fn rest(&mut self) -> String {
        ".".to_owned()
    }

    fn start_log_likelihood(&self) -> f64 {
        0.0
    }
}

/// What a member asks, as numbers: tokens wanted, then the prompt.
fn understood(asker: Asker, payload: &str) -> Command {
    let ids: Result<Vec<u32>, _> = payload.split_whitespace().map(str::parse).collect();
    match ids.as_deref() {
        Ok([max_tokens, prompt @ ..]) => Command::Generate {
            asker,
            prompt_ids: prompt.to_vec(),
            written_ids: Vec::new(),
            max_tokens: *max_tokens,
            stop_ids: Vec::new(),
            writer: Box::new(Greedy),
        },
        _ => Command::Refuse {
            asker,
            fault: Fault {
                code: "simulated".to_owned(),
                message: "Not numbers.".to_owned(),
                remedy: "None.".to_owned(),
            },
        },
    }
}

/// The likeliest token; the last of equals.
pub fn greedy(logits: &[f32]) -> u32 {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(id, _)| id as u32)
}
