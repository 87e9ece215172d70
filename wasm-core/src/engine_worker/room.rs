//! The weights channels to the other phones of the room: what they are asked for, and what they ask for.
//!
//! A channel is used once the session proved who is at its other end; what comes earlier waits.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use futures::{
    FutureExt, StreamExt,
    channel::mpsc,
    future::{Either, select},
};
use plan::MemberId;
use proto::weights::Weights;
use session::{
    Fault,
    weights::{Arrived, Asking, Wanted},
};
use wasm_bindgen::JsValue;

use super::{giving, shelf::Shelf};
use crate::{
    channel::link::{Link, LinkDown, LinkEvent},
    clock::{now_whole_ms, sleep},
    error::BrowserError,
};

/// Messages of one phone that wait until it has proved itself. It knows that it is to wait.
const MOST_EARLY: usize = 16;
/// Wishes of one phone that wait; honest phones have two chunks and a question on their way for each of their loads.
const MOST_WISHES: usize = 16;

/// The phones of this room.
#[derive(Clone)]
pub struct Room(Rc<Inner>);

struct Inner {
    state: RefCell<State>,
    shelf: Rc<Shelf>,
    events: mpsc::UnboundedSender<FromNeighbour>,
    tell: Box<dyn Fn(Fault)>,
}

#[derive(Default)]
struct State {
    neighbours: BTreeMap<MemberId, Neighbour>,
    /// Over which connection a member proved that it was invited.
    proven: BTreeMap<MemberId, u64>,
    askings: BTreeMap<u32, mpsc::UnboundedSender<Word>>,
    askings_begun: u32,
}

struct Neighbour {
    connection: u64,
    link: Rc<Link>,
    is_open: bool,
    early: Vec<Weights>,
    wishes: mpsc::Sender<Weights>,
}

struct FromNeighbour {
    member: MemberId,
    connection: u64,
    event: LinkEvent,
}

/// What reaches one asking.
enum Word {
    Said(MemberId, Weights),
    Lost(MemberId),
}

impl Room {
    /// Without phones. Others are given what is on the `shelf`; `tell` is told of phones that lie.
    pub fn new(shelf: Rc<Shelf>, tell: impl Fn(Fault) + 'static) -> Self {
        let (events, mut from_neighbours) = mpsc::unbounded();
        let room = Self(Rc::new(Inner {
            state: RefCell::default(),
            shelf,
            events,
            tell: Box::new(tell),
        }));
        wasm_bindgen_futures::spawn_local({
            let room = room.clone();
            async move {
                while let Some(from) = from_neighbours.next().await {
                    room.on_event(from);
                }
            }
        });
        room
    }

    /// The channel to a member came; an earlier one is closed. False if it is no channel.
    pub fn add(&self, member: MemberId, connection: u64, carrier: JsValue) -> bool {
        let events = self.0.events.clone();
        let link = Link::new(carrier, move |event| {
            // The room lives as long as this thread.
            let _ = events.unbounded_send(FromNeighbour {
                member,
                connection,
                event,
            });
        });
        let Some(link) = link.map(Rc::new) else {
            return false;
        };
        let (wishes, wished) = mpsc::channel(MOST_WISHES);
        wasm_bindgen_futures::spawn_local(giving::give(
            Rc::clone(&link),
            wished,
            Rc::clone(&self.0.shelf),
        ));
        let neighbour = Neighbour {
            connection,
            link,
            is_open: false,
            early: Vec::new(),
            wishes,
        };
        self.forget(member);
        self.0
            .state
            .borrow_mut()
            .neighbours
            .insert(member, neighbour);
        true
    }

    /// A member proved over a connection that it was invited.
    pub fn prove(&self, member: MemberId, connection: u64) {
        let early = {
            let mut state = self.0.state.borrow_mut();
            state.proven.insert(member, connection);
            let neighbour = state.neighbours.get_mut(&member);
            neighbour
                .filter(|neighbour| neighbour.connection == connection)
                .map(|neighbour| std::mem::take(&mut neighbour.early))
        };
        for message in early.into_iter().flatten() {
            self.hear(member, message);
        }
    }

    /// A connection ended.
    pub fn remove(&self, member: MemberId, connection: u64) {
        let is_current = {
            let mut state = self.0.state.borrow_mut();
            if state.proven.get(&member) == Some(&connection) {
                state.proven.remove(&member);
            }
            let neighbour = state.neighbours.get(&member);
            neighbour.is_some_and(|neighbour| neighbour.connection == connection)
        };
        if is_current {
            self.forget(member);
        }
    }

    /// Asks the phones of the room, and hands what they give to `take`. Returns what came of it.
    ///
    /// # Errors
    /// Whatever `take` says.
    pub async fn bring(
        &self,
        wanted: Wanted,
        take: &mut impl AsyncFnMut(Arrived) -> Result<(), Fault>,
    ) -> Result<Asking, Fault> {
        let (number, mut words) = self.begin_asking();
        let mut asking = Asking::new(now_whole_ms(), number.0, wanted, self.reachable());
        loop {
            let arrived = asking.take(now_whole_ms());
            while let Some((to, message)) = asking.poll_send() {
                if self.say(to, &message).is_err() {
                    asking.lose(now_whole_ms(), to);
                }
            }
            if let Some(arrived) = arrived {
                take(arrived).await?;
                continue;
            }
            if asking.is_over() {
                break;
            }
            match next(&mut words, asking.poll_timeout()).await {
                Some(Word::Said(from, message)) => asking.receive(now_whole_ms(), from, message),
                Some(Word::Lost(member)) => asking.lose(now_whole_ms(), member),
                None => asking.tick(now_whole_ms()),
            }
        }
        for liar in asking.liars() {
            (self.0.tell)(BrowserError::FalseWeights { member: *liar }.into());
        }
        Ok(asking)
    }

    fn begin_asking(&self) -> (Number, mpsc::UnboundedReceiver<Word>) {
        let (to_asking, words) = mpsc::unbounded();
        let mut state = self.0.state.borrow_mut();
        state.askings_begun = state.askings_begun.wrapping_add(1);
        let number = state.askings_begun;
        state.askings.insert(number, to_asking);
        (Number(number, Rc::clone(&self.0)), words)
    }

    fn reachable(&self) -> Vec<MemberId> {
        let state = self.0.state.borrow();
        let neighbours = state.neighbours.iter();
        let reachable = neighbours.filter(|(member, neighbour)| {
            neighbour.is_open && state.proven.get(member) == Some(&neighbour.connection)
        });
        reachable.map(|(member, _)| *member).collect()
    }

    fn say(&self, to: MemberId, message: &Weights) -> Result<(), LinkDown> {
        let link = {
            let state = self.0.state.borrow();
            let neighbour = state.neighbours.get(&to).ok_or(LinkDown)?;
            Rc::clone(&neighbour.link)
        };
        link.send(message.encode().map_err(|_| LinkDown)?)
    }

    fn on_event(&self, from: FromNeighbour) {
        let FromNeighbour {
            member,
            connection,
            event,
        } = from;
        let message = {
            let mut state = self.0.state.borrow_mut();
            let is_proven = state.proven.get(&member) == Some(&connection);
            let neighbour = state.neighbours.get_mut(&member);
            let Some(neighbour) = neighbour.filter(|known| known.connection == connection) else {
                return;
            };
            match event {
                LinkEvent::Open => {
                    neighbour.is_open = true;
                    return;
                }
                LinkEvent::Message(bytes) => match Weights::decode(&bytes) {
                    Ok(message) if is_proven => Some(message),
                    Ok(message) if neighbour.early.len() < MOST_EARLY => {
                        neighbour.early.push(message);
                        return;
                    }
                    // Nonsense is no answer, and whoever asks too much gets none.
                    Ok(_) | Err(_) => return,
                },
                LinkEvent::Closed => None,
            }
        };
        match message {
            Some(message) => self.hear(member, message),
            None => self.forget(member),
        }
    }

    /// A wish is the giver's, everything else an asking's.
    fn hear(&self, from: MemberId, message: Weights) {
        let mut state = self.0.state.borrow_mut();
        match message {
            Weights::Seek { .. } | Weights::Want { .. } => {
                if let Some(neighbour) = state.neighbours.get_mut(&from) {
                    // Whoever wishes for too much at a time gets less.
                    let _ = neighbour.wishes.try_send(message);
                }
            }
            Weights::Held { asking, .. }
            | Weights::Piece { asking, .. }
            | Weights::Absent { asking, .. } => {
                if let Some(asking) = state.askings.get(&asking) {
                    // One that is over needs no answer.
                    let _ = asking.unbounded_send(Word::Said(from, message));
                }
            }
        }
    }

    fn forget(&self, member: MemberId) {
        let mut state = self.0.state.borrow_mut();
        let Some(neighbour) = state.neighbours.remove(&member) else {
            return;
        };
        neighbour.link.close();
        for asking in state.askings.values() {
            // One that is over has lost nothing.
            let _ = asking.unbounded_send(Word::Lost(member));
        }
    }
}

/// Of an asking, which hears nothing any more once this is dropped.
struct Number(u32, Rc<Inner>);

impl Drop for Number {
    fn drop(&mut self) {
        self.1.state.borrow_mut().askings.remove(&self.0);
    }
}

/// What came before the time is due; `None` when it is.
async fn next(words: &mut mpsc::UnboundedReceiver<Word>, due_ms: Option<u64>) -> Option<Word> {
    let Some(due_ms) = due_ms else {
        return words.next().await;
    };
    // What lies here already came in time, however late this thread is.
    if let Some(word) = words.next().now_or_never() {
        return word;
    }
    let wait_ms = due_ms.saturating_sub(now_whole_ms()) as f64;
    match select(words.next(), Box::pin(sleep(wait_ms))).await {
        Either::Left((word, _)) => word,
        Either::Right(_) => None,
    }
}
