//! Weights from the other phones of the room, before the network is asked: whom to ask for what, whom to believe, when to give up.
//!
//! No more than [`MOST_ON_THE_WAY_BYTES`] are asked for and not yet taken. Every piece is checked by its hash; who sends another one is asked
//! no more. What nobody gave is [`Asking::missing`], for the network.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use model::manifest::{Chunk, Manifest};
use plan::MemberId;
use proto::weights::{Item, Run, Weights};

/// Asked for and not yet taken, unless one chunk alone is longer.
pub const MOST_ON_THE_WAY_BYTES: u64 = 4 << 20;
/// Of one phone at a time: the next one is on its way while one is checked.
const MOST_OF_ONE_PHONE: usize = 2;
/// Who does not say in this time what it has is not asked for it.
const SEEK_MS: u64 = 1_500;
/// Who sends nothing for so long is asked no more. An engine that computes on the CPU may be busy for seconds.
const SILENCE_MS: u64 = 5_000;
/// Who needs longer than this for what it was asked for is slower than any network worth asking.
const SLOW_MS: u64 = 30_000;
/// Between two askings for what only the room has, and how many in a row may bring nothing.
const AGAIN_MS: u64 = 500;
const MOST_IN_VAIN: u32 = 20;
/// Longest manifest that is taken from a phone.
const MAX_MANIFEST_BYTES: u64 = 16 << 20;

/// What is wanted, and how to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The list of chunks whose hash is the model's name.
    Manifest {
        /// That name.
        id: String,
    },
    /// Chunks of the file, by their place in the list.
    Chunks(Vec<(u32, Chunk)>),
}

/// What came, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrived {
    /// It is the right one, and may be relied upon.
    Manifest(Manifest),
    /// A chunk with its bytes.
    Chunk(Chunk, Vec<u8>),
}

/// Asks the phones of a room for weights.
pub struct Asking {
    number: u32,
    goods: BTreeMap<Item, Good>,
    waiting: BTreeSet<Item>,
    sources: BTreeMap<MemberId, Source>,
    arrived: VecDeque<(Arrived, u64)>,
    on_the_way_bytes: u64,
    outbox: VecDeque<(MemberId, Weights)>,
    liars: Vec<MemberId>,
    silent: u32,
}

/// How long a phone asks for weights that the network does not have.
#[derive(Debug, Default)]
pub struct Patience {
    in_vain: u32,
}

impl Patience {
    /// When to ask again, ms from now, after an asking that brought something, or nothing; `None`: it is time to give up.
    pub const fn again(&mut self, brought_something: bool) -> Option<u64> {
        self.in_vain = if brought_something {
            0
        } else {
            self.in_vain + 1
        };
        if self.in_vain < MOST_IN_VAIN {
            Some(AGAIN_MS)
        } else {
            None
        }
    }
}

enum Good {
    Manifest { id: String },
    Chunk(Chunk),
}

/// A phone that is asked.
struct Source {
    /// Of what is wanted; `None` until it said so.
    holds: Option<BTreeSet<Item>>,
    /// What came of what it was asked for.
    asked: BTreeMap<Item, Vec<u8>>,
    /// When something was last complete, or asked for.
    since_ms: u64,
    due_ms: u64,
}

impl Source {
    /// It gets on with what it was asked for.
    fn wait(&mut self, now_ms: u64) {
        self.due_ms = (now_ms + SILENCE_MS).min(self.since_ms + SLOW_MS);
    }

    fn holds_no_more(&mut self, item: Item) {
        if let Some(holds) = &mut self.holds {
            holds.remove(&item);
        }
    }

    /// An answer is due.
    fn owes(&self) -> bool {
        self.holds.is_none() || !self.asked.is_empty()
    }
}

impl Good {
    fn most_bytes(&self) -> u64 {
        match self {
            Self::Manifest { .. } => MAX_MANIFEST_BYTES,
            Self::Chunk(chunk) => u64::from(chunk.bytes),
        }
    }

    /// These bytes, if they are what was wanted.
    fn check(&self, bytes: Vec<u8>) -> Option<Arrived> {
        match self {
            Self::Manifest { id } => {
                let manifest: Manifest = serde_json::from_slice(&bytes).ok()?;
                manifest.check().ok()?;
                (manifest.id() == *id).then_some(Arrived::Manifest(manifest))
            }
            Self::Chunk(chunk) => {
                chunk.verify(&bytes).ok()?;
                Some(Arrived::Chunk(chunk.clone(), bytes))
            }
        }
    }
}

impl Asking {
    /// Asks `members` for what is `wanted`. `number` tells this asking from others of this phone.
    pub fn new(
        now_ms: u64,
        number: u32,
        wanted: Wanted,
        members: impl IntoIterator<Item = MemberId>,
    ) -> Self {
        let (goods, holds): (BTreeMap<Item, Good>, _) = match wanted {
            // A message costs no more than a question whether it is there.
            Wanted::Manifest { id } => (
                BTreeMap::from([(Item::Manifest, Good::Manifest { id })]),
                Some(BTreeSet::from([Item::Manifest])),
            ),
            Wanted::Chunks(chunks) => {
                let goods = chunks.into_iter();
                let goods = goods.map(|(place, chunk)| (Item::Chunk(place), Good::Chunk(chunk)));
                (goods.collect(), None)
            }
        };
        let source = |member| {
            let source = Source {
                holds: holds.clone(),
                asked: BTreeMap::new(),
                since_ms: now_ms,
                due_ms: now_ms + SEEK_MS,
            };
            (member, source)
        };
        let mut asking = Self {
            number,
            waiting: goods.keys().copied().collect(),
            goods,
            sources: members.into_iter().map(source).collect(),
            arrived: VecDeque::new(),
            on_the_way_bytes: 0,
            outbox: VecDeque::new(),
            liars: Vec::new(),
            silent: 0,
        };
        if holds.is_none() && !asking.goods.is_empty() {
            asking.seek();
        }
        asking.ask(now_ms);
        asking
    }

    /// A phone said something in answer to this asking.
    pub fn receive(&mut self, now_ms: u64, from: MemberId, message: Weights) {
        match message {
            Weights::Held { chunks, .. } => self.on_held(from, &chunks),
            Weights::Piece {
                item, last, bytes, ..
            } => self.on_piece(now_ms, from, item, last, &bytes),
            Weights::Absent { item, .. } => self.on_absent(from, item),
            Weights::Seek { .. } | Weights::Want { .. } => {}
        }
        self.ask(now_ms);
    }

    /// The connection to a phone ended.
    pub fn lose(&mut self, now_ms: u64, member: MemberId) {
        self.drop_source(member);
        self.ask(now_ms);
    }

    /// Time passed.
    pub fn tick(&mut self, now_ms: u64) {
        let late = self.sources.iter();
        let late = late.filter(|(_, source)| source.owes() && source.due_ms <= now_ms);
        let late: Vec<_> = late.map(|(member, _)| *member).collect();
        for member in late {
            self.silent += 1;
            self.drop_source(member);
        }
        self.ask(now_ms);
    }

    /// When [`Self::tick`] is due, ms.
    pub fn poll_timeout(&self) -> Option<u64> {
        let owing = self.sources.values().filter(|source| source.owes());
        owing.map(|source| source.due_ms).min()
    }

    /// What to say next, and to whom.
    pub fn poll_send(&mut self) -> Option<(MemberId, Weights)> {
        self.outbox.pop_front()
    }

    /// What came; more is asked for once it is taken.
    pub fn take(&mut self, now_ms: u64) -> Option<Arrived> {
        let (arrived, bytes) = self.arrived.pop_front()?;
        self.on_the_way_bytes -= bytes;
        self.ask(now_ms);
        Some(arrived)
    }

    /// Nothing more will come.
    pub fn is_over(&self) -> bool {
        self.arrived.is_empty()
            && (self.goods.is_empty() || !self.sources.values().any(Source::owes))
    }

    /// Chunks that did not come, ascending, with their places in the list.
    pub fn missing(&self) -> impl Iterator<Item = (u32, &Chunk)> {
        self.goods.iter().filter_map(|entry| match entry {
            (Item::Chunk(place), Good::Chunk(chunk)) => Some((*place, chunk)),
            _ => None,
        })
    }

    /// Who sent something else than what was asked for.
    pub fn liars(&self) -> &[MemberId] {
        &self.liars
    }

    /// Phones that did not give what they said they have, or said nothing.
    pub fn failed_sources(&self) -> u32 {
        self.silent + u32::try_from(self.liars.len()).unwrap_or(u32::MAX)
    }

    fn seek(&mut self) {
        let places = self.goods.keys().filter_map(|item| match item {
            Item::Manifest => None,
            Item::Chunk(place) => Some(*place),
        });
        let chunks = Run::of(places);
        for member in self.sources.keys() {
            let seek = Weights::Seek {
                asking: self.number,
                chunks: chunks.clone(),
            };
            self.outbox.push_back((*member, seek));
        }
    }

    fn on_held(&mut self, from: MemberId, chunks: &[Run]) {
        let Some(source) = self.sources.get_mut(&from) else {
            return;
        };
        let is_held = |item: &Item| match item {
            Item::Manifest => false,
            Item::Chunk(place) => {
                let after = chunks.partition_point(|run| run.first <= *place);
                let run = after.checked_sub(1).and_then(|run| chunks.get(run));
                run.is_some_and(|run| run.contains(*place))
            }
        };
        if source.holds.is_none() {
            let goods = self.goods.keys().copied();
            source.holds = Some(goods.filter(is_held).collect());
        }
    }

    fn on_piece(&mut self, now_ms: u64, from: MemberId, item: Item, last: bool, bytes: &[u8]) {
        let Some(source) = self.sources.get_mut(&from) else {
            return;
        };
        let (Some(part), Some(good)) = (source.asked.get_mut(&item), self.goods.get(&item)) else {
            return;
        };
        part.extend_from_slice(bytes);
        let most_bytes = good.most_bytes();
        if part.len() as u64 <= most_bytes && !last {
            return source.wait(now_ms);
        }
        match good.check(std::mem::take(part)) {
            Some(arrived) => {
                source.asked.remove(&item);
                source.since_ms = now_ms;
                source.wait(now_ms);
                self.goods.remove(&item);
                for source in self.sources.values_mut() {
                    source.holds_no_more(item);
                }
                self.arrived.push_back((arrived, most_bytes));
            }
            None => {
                self.liars.push(from);
                self.drop_source(from);
            }
        }
    }

    fn on_absent(&mut self, from: MemberId, item: Item) {
        let Some(source) = self.sources.get_mut(&from) else {
            return;
        };
        if source.asked.remove(&item).is_some() {
            source.holds_no_more(item);
            self.want_again(item);
        }
    }

    fn drop_source(&mut self, member: MemberId) {
        let asked = self.sources.remove(&member);
        for item in asked
            .into_iter()
            .flat_map(|source| source.asked.into_keys())
        {
            self.want_again(item);
        }
    }

    fn want_again(&mut self, item: Item) {
        let bytes = self.goods.get(&item).map_or(0, Good::most_bytes);
        self.on_the_way_bytes = self.on_the_way_bytes.saturating_sub(bytes);
        self.waiting.insert(item);
    }

    /// Asks for more while there is room: in turn whoever was asked for least.
    fn ask(&mut self, now_ms: u64) {
        for asked_for in 0..MOST_OF_ONE_PHONE {
            for (member, source) in &mut self.sources {
                let held = source.holds.iter().flatten();
                let next = held.copied().find(|item| self.waiting.contains(item));
                let Some(item) = next.filter(|_| source.asked.len() == asked_for) else {
                    continue;
                };
                let bytes = self.goods.get(&item).map_or(0, Good::most_bytes);
                let on_the_way_bytes = self.on_the_way_bytes + bytes;
                if self.on_the_way_bytes > 0 && on_the_way_bytes > MOST_ON_THE_WAY_BYTES {
                    return;
                }
                self.on_the_way_bytes = on_the_way_bytes;
                self.waiting.remove(&item);
                if source.asked.is_empty() {
                    source.since_ms = now_ms;
                    source.wait(now_ms);
                }
                source.asked.insert(item, Vec::new());
                let asking = self.number;
                self.outbox
                    .push_back((*member, Weights::Want { asking, item }));
            }
        }
    }
}
