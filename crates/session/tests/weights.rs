//! Weights from the phones of a room: honest ones, liars, silent ones, and those that leave.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use model::manifest::{Chunk, Manifest};
use plan::MemberId;
use proto::weights::{Item, MAX_PIECE_BYTES, Run, Weights};
use session::weights::{Arrived, Asking, MOST_ON_THE_WAY_BYTES, Patience, Wanted};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const CHUNK_BYTES: usize = 500_000;
const CHUNKS: usize = 12;

/// How a phone behaves.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Honest,
    /// Says nothing.
    Silent,
    /// Says what it has, and gives nothing.
    Promises,
    /// Gives other bytes.
    Lies,
    /// Gives half, and says that this is all.
    Halves,
    /// Gives without end.
    Floods,
    /// Lost what it had.
    Forgot,
    /// A byte every four seconds.
    Trickles,
}

fn file() -> Vec<u8> {
    (0..CHUNK_BYTES * CHUNKS).map(|i| (i % 251) as u8).collect()
}

fn manifest(file: &[u8]) -> Manifest {
    let offsets = (0..CHUNKS).map(|place| place * CHUNK_BYTES);
    Manifest {
        file_bytes: file.len() as u64,
        header_bytes: CHUNK_BYTES as u64,
        chunks: offsets
            .map(|offset| Chunk::of(offset as u64, &file[offset..][..CHUNK_BYTES]))
            .collect(),
    }
}

/// A room around one phone that asks.
struct Room {
    file: Vec<u8>,
    manifest: Manifest,
    phones: BTreeMap<MemberId, (Manner, BTreeSet<u32>)>,
    now_ms: u64,
    asked_of: BTreeMap<MemberId, usize>,
}

impl Room {
    /// Phones with these manners, each with these chunks.
    fn new(phones: &[(Manner, &[u32])]) -> Self {
        let file = file();
        Self {
            manifest: manifest(&file),
            file,
            phones: (1..)
                .zip(phones)
                .map(|(id, (manner, held))| {
                    (MemberId(id), (*manner, held.iter().copied().collect()))
                })
                .collect(),
            now_ms: 1_000,
            asked_of: BTreeMap::new(),
        }
    }

    /// What arrives of all chunks, and the asking when it is over.
    fn bring(&mut self) -> (BTreeSet<u64>, Asking) {
        let chunks = (0..).zip(self.manifest.chunks.clone()).collect();
        let (arrived, asking) = self.ask(Wanted::Chunks(chunks));
        let offsets = arrived.into_iter().map(|arrived| match arrived {
            Arrived::Chunk(chunk, bytes) => {
                let at = chunk.offset as usize;
                assert_eq!(bytes, self.file[at..][..bytes.len()], "chunk at {at}");
                chunk.offset
            }
            Arrived::Manifest(_) => panic!("nobody asked for it"),
        });
        (offsets.collect(), asking)
    }

    fn ask(&mut self, wanted: Wanted) -> (Vec<Arrived>, Asking) {
        let mut asking = Asking::new(self.now_ms, 7, wanted, self.phones.keys().copied());
        let mut answers = VecDeque::new();
        let mut arrived = Vec::new();
        while !asking.is_over() {
            while let Some((to, message)) = asking.poll_send() {
                let message = Weights::decode(&message.encode().unwrap()).unwrap();
                answers.extend(self.answer(to, message).map(|answer| (to, answer)));
            }
            while let Some(taken) = asking.take(self.now_ms) {
                arrived.push(taken);
            }
            self.now_ms += 1;
            match answers.pop_front() {
                Some((from, answer)) => asking.receive(self.now_ms, from, answer),
                None if asking.is_over() => {}
                None => {
                    self.now_ms = asking.poll_timeout().unwrap();
                    asking.tick(self.now_ms);
                }
            }
            let on_the_way: usize = answers.iter().map(|(_, answer)| piece_bytes(answer)).sum();
            let flooded = self
                .phones
                .values()
                .any(|(manner, _)| *manner == Manner::Floods);
            assert!(
                flooded || on_the_way as u64 <= MOST_ON_THE_WAY_BYTES,
                "{on_the_way} bytes on the way"
            );
        }
        (arrived, asking)
    }

    fn answer(&mut self, to: MemberId, message: Weights) -> impl Iterator<Item = Weights> + use<> {
        let (manner, held) = self.phones[&to].clone();
        let answers = match (manner, message) {
            (Manner::Silent, _) => Vec::new(),
            (_, Weights::Seek { asking, chunks }) => {
                let held = held.into_iter();
                let held = held.filter(|place| chunks.iter().any(|run| run.contains(*place)));
                let chunks = Run::of(held);
                vec![Weights::Held { asking, chunks }]
            }
            (_, Weights::Want { asking, item }) => {
                *self.asked_of.entry(to).or_default() += 1;
                self.give(manner, asking, item)
            }
            _ => panic!("no answer to that is known"),
        };
        answers.into_iter()
    }

    fn give(&self, manner: Manner, asking: u32, item: Item) -> Vec<Weights> {
        let mut bytes = match item {
            Item::Manifest => serde_json::to_vec(&self.manifest).unwrap(),
            Item::Chunk(place) => self.file[place as usize * CHUNK_BYTES..][..CHUNK_BYTES].to_vec(),
        };
        match manner {
            Manner::Promises => return Vec::new(),
            Manner::Forgot => return vec![Weights::Absent { asking, item }],
            Manner::Trickles => bytes.truncate(1),
            Manner::Lies => bytes[5] ^= 1,
            Manner::Halves => bytes.truncate(bytes.len() / 2),
            Manner::Floods => bytes.resize(FLOOD_BYTES, 0),
            Manner::Honest | Manner::Silent => {}
        }
        let count = bytes.chunks(MAX_PIECE_BYTES).count();
        let pieces = (1..).zip(bytes.chunks(MAX_PIECE_BYTES));
        let pieces = pieces.map(|(nth, piece)| Weights::Piece {
            asking,
            item,
            last: nth == count && !matches!(manner, Manner::Floods | Manner::Trickles),
            bytes: piece.to_vec(),
        });
        pieces.collect()
    }
}

const FLOOD_BYTES: usize = 2 << 20;

fn piece_bytes(message: &Weights) -> usize {
    match message {
        Weights::Piece { bytes, .. } => bytes.len(),
        _ => 0,
    }
}

const ALL: &[u32] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

#[test]
fn an_honest_phone_gives_everything() {
    let mut room = Room::new(&[(Manner::Honest, ALL)]);
    let (arrived, asking) = room.bring();
    assert_eq!(arrived.len(), CHUNKS);
    assert_eq!(asking.missing().count(), 0);
    assert_eq!((asking.failed_sources(), asking.liars()), (0, &[][..]));
}

#[test]
fn phones_share_the_work_and_the_rest_is_for_the_network() {
    let (low, high): (&[u32], &[u32]) = (&[0, 1, 2, 3, 4, 5], &[4, 5, 6, 7, 8, 9]);
    let mut room = Room::new(&[(Manner::Honest, low), (Manner::Honest, high)]);
    let (arrived, asking) = room.bring();
    assert_eq!(arrived.len(), 10);
    let missing: Vec<u64> = asking.missing().map(|(_, chunk)| chunk.offset).collect();
    assert_eq!(
        missing,
        [10, 11].map(|place| (place * CHUNK_BYTES) as u64),
        "what nobody has"
    );
    assert_eq!(
        room.asked_of.values().sum::<usize>(),
        10,
        "nothing is asked for twice"
    );
    assert!(
        room.asked_of.values().all(|asked| *asked >= 4),
        "{:?}",
        room.asked_of
    );
}

#[test]
fn a_room_that_has_nothing_costs_one_question() {
    let mut room = Room::new(&[(Manner::Honest, &[]), (Manner::Honest, &[])]);
    let (arrived, asking) = room.bring();
    assert_eq!((arrived.len(), asking.missing().count()), (0, CHUNKS));
    assert_eq!(room.asked_of.len(), 0);
    assert!(room.now_ms < 1_100, "nobody was waited for");
    assert!(Room::new(&[]).bring().1.is_over(), "nor in an empty room");
}

#[test]
fn whoever_fails_is_asked_no_more_and_the_others_give_it_all() {
    // Failures beside an honest phone and alone: the honest one is done before anybody's silence is noticed.
    for (manner, lied, failed, failed_alone) in [
        (Manner::Silent, 0, 0, 1),
        (Manner::Promises, 0, 1, 1),
        (Manner::Lies, 1, 1, 1),
        (Manner::Halves, 1, 1, 1),
        (Manner::Floods, 1, 1, 1),
        (Manner::Trickles, 0, 1, 1),
        (Manner::Forgot, 0, 0, 0),
    ] {
        let mut room = Room::new(&[(manner, ALL), (Manner::Honest, ALL)]);
        let (arrived, asking) = room.bring();
        assert_eq!(arrived.len(), CHUNKS);
        assert_eq!(asking.liars().len(), lied);
        assert_eq!(asking.failed_sources(), failed);
        if manner != Manner::Forgot {
            assert!(
                room.asked_of
                    .get(&MemberId(1))
                    .is_none_or(|asked| *asked <= 2)
            );
        }
        assert!(room.now_ms <= 40_000, "{} ms", room.now_ms);

        let mut room = Room::new(&[(manner, ALL)]);
        let (arrived, asking) = room.bring();
        assert_eq!(arrived.len() + asking.missing().count(), CHUNKS);
        assert_eq!(arrived.len(), 0, "what it gave was not what was wanted");
        assert_eq!(asking.failed_sources(), failed_alone);
    }
}

#[test]
fn a_phone_that_leaves_halfway_is_replaced() {
    let mut room = Room::new(&[(Manner::Honest, ALL), (Manner::Promises, ALL)]);
    let chunks = (0..).zip(room.manifest.chunks.clone()).collect();
    let (gone, other) = (MemberId(2), MemberId(1));
    let mut asking = Asking::new(0, 1, Wanted::Chunks(chunks), [gone, other]);
    let mut wants = Vec::new();
    for _ in 0..2 {
        while let Some((to, message)) = asking.poll_send() {
            for answer in room.answer(to, message.clone()) {
                if to == gone || matches!(answer, Weights::Held { .. }) {
                    asking.receive(1, to, answer);
                }
            }
            wants.push((to, message));
        }
    }
    asking.lose(2, gone);
    let mut arrived = 0;
    while !asking.is_over() {
        while asking.take(3).is_some() {
            arrived += 1;
        }
        let Some((to, message)) = asking.poll_send() else {
            let pending: Vec<_> = wants.drain(..).filter(|(to, _)| *to == other).collect();
            for (to, message) in pending {
                for answer in room.answer(to, message) {
                    asking.receive(3, to, answer);
                }
            }
            continue;
        };
        assert_eq!(to, other);
        wants.push((to, message));
    }
    assert_eq!(arrived, CHUNKS);
    assert_eq!(asking.failed_sources(), 0, "leaving is no fault");
}

#[test]
fn a_manifest_is_known_by_its_hash() {
    for (manner, arrives) in [
        (Manner::Honest, true),
        (Manner::Lies, false),
        (Manner::Halves, false),
        (Manner::Floods, false),
        (Manner::Silent, false),
    ] {
        let mut room = Room::new(&[(manner, &[])]);
        let id = room.manifest.id();
        let (arrived, _) = room.ask(Wanted::Manifest { id });
        let expected = arrives.then(|| Arrived::Manifest(room.manifest.clone()));
        assert_eq!(arrived, Vec::from_iter(expected));
    }
}

#[test]
fn patience_ends_where_nothing_comes() {
    let mut patience = Patience::default();
    let waited_ms: u64 = std::iter::from_fn(|| patience.again(false)).sum();
    assert!((5_000..15_000).contains(&waited_ms), "{waited_ms} ms");
    let mut patience = Patience::default();
    for _ in 0..1_000 {
        assert!(
            patience.again(false).is_some(),
            "there is progress now and then"
        );
        assert!(patience.again(true).is_some());
    }
}

#[test]
fn runs_are_bounded_and_hostile_ones_harmless() {
    let apart = Run::of((0..10_000).map(|place| place * 2));
    assert_eq!(apart.len(), proto::weights::MAX_RUNS);
    let seek = Weights::Seek {
        asking: u32::MAX,
        chunks: apart,
    };
    assert!(seek.encode().is_ok(), "the longest question fits");
    let mut room = Room::new(&[]);
    let chunks = (0..).zip(room.manifest.chunks.clone()).collect();
    let member = MemberId(1);
    let mut asking = Asking::new(0, 1, Wanted::Chunks(chunks), [member]);
    let everything = Run {
        first: 0,
        count: u32::MAX,
    };
    let unasked = Weights::Piece {
        asking: 1,
        item: Item::Chunk(u32::MAX),
        last: true,
        bytes: vec![1; 100],
    };
    asking.receive(0, member, unasked);
    let held = Weights::Held {
        asking: 1,
        chunks: vec![everything, everything],
    };
    asking.receive(0, member, held);
    let wants = std::iter::from_fn(|| asking.poll_send()).count();
    assert_eq!(wants, 3, "a question, and two chunks are asked for");
    room.now_ms = asking.poll_timeout().unwrap();
    asking.tick(room.now_ms);
    assert!(asking.is_over());
}
