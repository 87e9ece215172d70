//! Random rooms with random faults, from a seed: whatever happens, the answer is the one of an undisturbed phone.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use model::{NumericClass, segment};
use plan::MemberId;
use session::{Command, Event};

use crate::{
    compute::{
        Storage,
        adding::{CLASS, UNIT_BYTES, graph, undisturbed},
    },
    network::Network,
    random::Random,
    room::{Mischief, Model, Room},
};

const HOST: MemberId = MemberId::HOST;
/// Of one unit for one column, ms: an answer takes longer than its troubles.
const UNIT_MS: f64 = 5.0;
/// Faults strike within this time after the room begins to load, ms.
const TROUBLED_MS: u64 = 1_500;
/// A fault is noticed and mended within this time, unless phones are missing; what was lost is computed again within that, ms.
const MENDED_MS: u64 = 6_000;
const SOON_MS: u64 = 1_000;
const REPLAYED_MS: u64 = 150;
/// A phone that loses its device once more is not tried again, and without the host's there is no room.
const MOST_LOST: u32 = 2;
/// Until everything that heals has healed, ms after that.
const HEALED_MS: u64 = 20_000;
/// An answer that is not there by then will not come, ms.
const PATIENCE_MS: u64 = 180_000;
/// How long departed members may stay in the list, ms.
const SETTLED_MS: u64 = 12_000;

/// What may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A phone dies without a word.
    Crash,
    /// A tab is closed.
    Close,
    /// A person leaves.
    Leave,
    /// A page stops for so many ms.
    Freeze(u64),
    /// The host's page stops for so many ms.
    FreezeHost(u64),
    /// A page is behind others for so many ms, and goes on there.
    Hide(u64),
    /// A page is behind others for so many ms, and stops there after the first of them.
    HideAndFreeze(u64, u64),
    /// The host's page is behind others for so many ms.
    HideHost(u64),
    /// A tab is closed and opened again.
    Restart,
    /// Two phones lose their connection.
    Cut,
    /// Nothing arrives on one way for so many ms.
    OneWay(u64),
    /// Some phones, the victim among them, hear nothing of the others for so many ms, nor these of them.
    Partition(u64),
    /// Every link loses packets and is slow.
    BadNetwork,
    /// A phone becomes so many times slower.
    Slow(u64),
    /// A phone's clock jumps ahead, ms.
    ClockJump(u64),
    /// A forward call fails.
    DeviceLost,
    /// A load fails.
    OutOfMemory,
    /// Memory for KV cannot grow in a forward call.
    OutOfKvMemory,
    /// An engine answers nothing any more.
    Hang,
    /// Storage takes nothing any more.
    Quota,
    /// A message is lost, doubled, late or damaged.
    Mischief(Mischief),
    /// The signaling server is away for so many ms.
    ServerDown(u64),
    /// Another phone joins.
    Join,
}

/// What came of a seed.
#[derive(Debug, Clone)]
pub struct Story {
    /// What it was about.
    pub seed: u64,
    /// What happened, with virtual times.
    pub lines: Vec<String>,
    /// What was wrong.
    pub failure: Option<String>,
}

/// Plays a seed; a panic is a failure, too.
pub fn play(seed: u64) -> Story {
    let mut lines = Vec::new();
    let played = catch_unwind(AssertUnwindSafe(|| Play::new(seed, &mut lines).run()));
    let failure = match played {
        Ok(verdict) => verdict.err(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Some(format!("panicked: {}", text.unwrap_or_default()))
        }
    };
    Story {
        seed,
        lines,
        failure,
    }
}

struct Play<'a> {
    random: Random,
    room: Room,
    blocks: u32,
    prompt: Vec<u32>,
    /// How many ask besides, at the same time, and what numbers their questions got.
    others: u32,
    beside: Vec<u32>,
    tokens: u32,
    asked: bool,
    /// A message was damaged: whoever receives it may accuse its sender.
    damaged: bool,
    /// A message was lost, or an engine hangs: only a timer notices.
    may_stall: bool,
    host_devices_lost: u32,
    lines: &'a mut Vec<String>,
}

impl<'a> Play<'a> {
    fn new(seed: u64, lines: &'a mut Vec<String>) -> Self {
        let mut random = Random(seed);
        let blocks = 4 + random.below(6) as u32;
        let units = u64::from(blocks) + 2;
        let peers = 2 + random.below(4);
        let usable = |units: u64| units * UNIT_BYTES + slack(blocks);
        let mut budgets = vec![usable(3 + random.below(4))];
        for _ in 0..peers {
            budgets.push(usable(units.div_ceil(peers + 1) + 1 + random.below(3)));
        }
        let network = Network::new(random.draw(), random.below(25));
        let model = Model::Adding(Arc::new(graph(blocks)), UNIT_MS);
        let room = Room::open(model, CLASS, &budgets, network);
        let prompt = (0..1 + random.below(20)).map(|_| random.below(101) as u32);
        Self {
            prompt: prompt.collect(),
            others: random.below(4) as u32,
            beside: Vec::new(),
            tokens: 12 + random.below(28) as u32,
            random,
            room,
            blocks,
            asked: false,
            damaged: false,
            may_stall: false,
            host_devices_lost: 0,
            lines,
        }
    }

    fn say(&mut self, text: &str) {
        let seconds = self.room.now_ms as f64 / 1000.0;
        self.lines.push(format!("{seconds:8.3} s  {text}"));
    }

    fn run(mut self) -> Result<(), String> {
        let verdict = self.judge();
        if verdict.is_err() {
            self.tell_pages();
        }
        verdict
    }

    /// What every page was told, without the lists of members.
    fn tell_pages(&mut self) {
        for (id, phone) in &self.room.phones {
            self.lines.push(format!(
                "phone {}, {} bytes held:",
                id.0,
                phone.resident_bytes()
            ));
            for (at_ms, event) in &phone.events {
                let text = match event {
                    Event::Planned { plan, .. } => {
                        let stages = plan.stages.iter();
                        let stages = stages.map(|stage| {
                            format!(
                                "{}: {}..{}",
                                stage.member.0, stage.units.start, stage.units.end
                            )
                        });
                        format!(
                            "planned {}: {}",
                            plan.epoch,
                            stages.collect::<Vec<_>>().join(", ")
                        )
                    }
                    Event::Ready { epoch } => format!("ready {epoch}"),
                    Event::Interrupted { fault } => format!("interrupted: {}", fault.message),
                    Event::Failed { fault, fatal } => {
                        format!("failed: {}, fatal {fatal}", fault.message)
                    }
                    Event::Joined { member } => format!("joined as {}", member.0),
                    Event::Finished { reason, .. } => format!("finished: {}", reason.word()),
                    Event::Left => "left".to_owned(),
                    Event::Members { .. }
                    | Event::Capacity { .. }
                    | Event::Explained { .. }
                    | Event::Resumed { .. }
                    | Event::Token { .. } => continue,
                    Event::Refused { fault, .. } => format!("refused: {}", fault.message),
                };
                self.lines
                    .push(format!("{:8.3} s    {text}", *at_ms as f64 / 1000.0));
            }
        }
    }

    fn judge(&mut self) -> Result<(), String> {
        let budgets = self
            .room
            .phones
            .values()
            .map(|phone| phone.budget_bytes / UNIT_BYTES);
        let text = format!(
            "{} blocks, phones of {:?} MiB, {} prompt tokens, {} to write",
            self.blocks,
            budgets.collect::<Vec<_>>(),
            self.prompt.len(),
            self.tokens
        );
        self.say(&text);
        let begun_ms = self.room.now_ms;
        self.room.command(HOST, Command::Begin);
        let mut troubles: Vec<_> = (0..1 + self.random.below(4))
            .map(|_| (begun_ms + self.random.below(TROUBLED_MS), self.trouble()))
            .collect();
        troubles.sort_by_key(|(at, _)| *at);
        for (at_ms, trouble) in troubles {
            self.pass_until(at_ms);
            self.strike(trouble);
            if self.asked && self.random.below(2) == 0 {
                self.strike_again();
            }
        }
        self.pass_until(begun_ms + TROUBLED_MS + HEALED_MS);
        if !self.is_done() {
            self.help();
        }
        let patience_ms = self.room.now_ms + PATIENCE_MS;
        self.pass_until(patience_ms);
        self.check_answer()?;
        self.room.run(SETTLED_MS);
        if !is_settled(&self.room) {
            self.help();
            self.room.run(SETTLED_MS);
        }
        self.check_roster()?;
        self.check_memory()?;
        self.check_next_answer()?;
        self.check_manners()
    }

    fn is_done(&self) -> bool {
        self.asked && self.room.answers() > self.beside.len()
    }

    /// Lets time pass until then, and asks once the room is ready. An answer that is there ends the waiting for it.
    fn pass_until(&mut self, at_ms: u64) {
        let left = |room: &Room| at_ms.saturating_sub(room.now_ms);
        if !self.asked {
            self.room.run_until(left(&self.room), is_settled);
            if is_settled(&self.room) {
                self.asked = true;
                self.say("asked");
                for other in 0..self.others {
                    let question = self.room.ask(&self.other_prompt(other), self.tokens);
                    self.beside.push(question);
                }
                self.room.ask(&self.prompt, self.tokens);
            }
        }
        let others = self.beside.len();
        self.room
            .run_until(left(&self.room), |room| room.answers() > others);
        if self.is_done() {
            self.room.run(left(&self.room).min(TROUBLED_MS));
        }
    }

    fn trouble(&mut self) -> Trouble {
        let r = &mut self.random;
        match r.below(30) {
            0 | 1 => Trouble::Crash,
            2 | 3 => Trouble::Close,
            4 => Trouble::Leave,
            5 => Trouble::Freeze(500 + r.below(12_000)),
            6 => Trouble::FreezeHost(500 + r.below(8_000)),
            7 => Trouble::Restart,
            8 => Trouble::Cut,
            9 => Trouble::OneWay(500 + r.below(12_000)),
            10 => Trouble::BadNetwork,
            11 => Trouble::Slow(2 + r.below(8)),
            12 => Trouble::ClockJump(500 + r.below(60_000)),
            13 | 14 => Trouble::DeviceLost,
            15 => Trouble::OutOfMemory,
            16 => Trouble::Hang,
            17 => Trouble::Quota,
            18 | 19 => Trouble::Mischief(match r.below(3) {
                0 => Mischief::Drop,
                1 => Mischief::Reorder,
                _ => Mischief::Corrupt,
            }),
            20 => Trouble::Mischief(Mischief::Delay(500 + r.below(5_500))),
            // While what came first is still being computed on, or long after.
            21 => Trouble::Mischief(Mischief::Duplicate(r.below(10))),
            22 => Trouble::Mischief(Mischief::Duplicate(r.below(5_000))),
            23 => Trouble::ServerDown(1_000 + r.below(8_000)),
            24 => Trouble::OutOfKvMemory,
            25 => Trouble::Partition(500 + r.below(12_000)),
            26 => Trouble::Hide(500 + r.below(10_000)),
            27 => Trouble::HideAndFreeze(4_000 + r.below(6_000), r.below(4_000)),
            28 => Trouble::HideHost(500 + r.below(10_000)),
            _ => Trouble::Join,
        }
    }

    /// Misfortunes seldom come singly: another one soon after, or when the next plan is loaded and what was lost is computed again.
    fn strike_again(&mut self) {
        let plans = |room: &Room| {
            room.events(HOST)
                .filter(|event| matches!(event, Event::Ready { .. }))
                .count()
        };
        let before = plans(&self.room);
        let mended = |room: &Room| plans(room) > before;
        let wait_ms = match self.random.below(2) {
            0 => self.random.below(SOON_MS),
            _ if self.room.run_until(MENDED_MS, mended) => self.random.below(REPLAYED_MS),
            _ => return,
        };
        self.room.run(wait_ms);
        let trouble = self.trouble();
        self.strike(trouble);
    }

    /// Somebody other than the host who is still in the room.
    fn victim(&mut self) -> Option<MemberId> {
        let phones = self.room.phones.iter();
        let live: Vec<_> = phones
            .filter(|(id, phone)| **id != HOST && !phone.is_over() && phone.frozen.is_none())
            .map(|(id, _)| *id)
            .collect();
        let index = self.random.below(live.len() as u64) as usize;
        live.get(index).copied()
    }

    fn strike(&mut self, trouble: Trouble) {
        let victim = self.victim();
        self.damaged |= trouble == Trouble::Mischief(Mischief::Corrupt);
        self.may_stall |= matches!(
            trouble,
            Trouble::Hang | Trouble::Mischief(Mischief::Corrupt | Mischief::Drop)
        );
        self.say(&format!(
            "{trouble:?}, phone {:?}",
            victim.map(|victim| victim.0)
        ));
        let now_ms = self.room.now_ms;
        let room = &mut self.room;
        match (trouble, victim) {
            (Trouble::FreezeHost(ms), _) => room.freeze(HOST, ms),
            (Trouble::HideHost(ms), _) => room.hide(HOST, ms),
            (Trouble::BadNetwork, _) => {
                room.network.loss_percent = 5;
                room.network.delay_ms = 60;
            }
            (Trouble::Mischief(mischief), _) => room.mischief = Some(mischief),
            (Trouble::ServerDown(ms), _) => room.server_up_at_ms = now_ms + ms,
            (Trouble::Join, _) => self.join(4),
            (_, None) => {}
            (Trouble::Crash, Some(victim)) => room.kill(victim),
            (Trouble::Close, Some(victim)) => drop(room.close_tab(victim)),
            (Trouble::Leave, Some(victim)) => room.command(victim, Command::Leave),
            (Trouble::Freeze(ms), Some(victim)) => room.freeze(victim, ms),
            (Trouble::Hide(ms), Some(victim)) => room.hide(victim, ms),
            (Trouble::HideAndFreeze(ms, until_ms), Some(victim)) => {
                room.hide(victim, ms);
                room.freeze_after(victim, until_ms, ms - until_ms);
            }
            (Trouble::Restart, Some(victim)) => {
                let budget_bytes = room.phone(victim).budget_bytes;
                let storage = room.close_tab(victim);
                if room.phone(HOST).frozen.is_none() {
                    // A full room says so, and that is that.
                    let _ = room.try_join(budget_bytes, storage);
                }
            }
            (Trouble::Cut, Some(victim)) => {
                let others: Vec<_> = room.linked_to(victim);
                let other = others.get(self.random.below(others.len() as u64) as usize);
                if let Some(other) = other {
                    room.cut(victim, *other);
                }
            }
            (Trouble::OneWay(ms), Some(victim)) => {
                let others: Vec<_> = room.linked_to(victim);
                let other = others.get(self.random.below(others.len() as u64) as usize);
                if let Some(other) = other {
                    let ends = [victim, *other];
                    let from = self.random.below(2) as usize;
                    room.network.block(ends[from], ends[1 - from], now_ms + ms);
                }
            }
            (Trouble::Partition(ms), Some(victim)) => {
                let mut others: Vec<_> = room.phones.keys().copied().collect();
                others.retain(|other| *other != victim);
                let (here, there): (Vec<_>, Vec<_>) = others
                    .into_iter()
                    .partition(|other| *other != HOST && self.random.below(2) == 0);
                for one in here.into_iter().chain([victim]) {
                    for other in &there {
                        room.network.block(one, *other, now_ms + ms);
                        room.network.block(*other, one, now_ms + ms);
                    }
                }
            }
            (Trouble::Slow(times), Some(victim)) => {
                room.phone_mut(victim).ailment.slowness = times as f64
            }
            (Trouble::ClockJump(ms), Some(victim)) => {
                let who = if self.random.below(3) == 0 {
                    HOST
                } else {
                    victim
                };
                room.phone_mut(who).clock_ahead_ms += ms;
            }
            (Trouble::DeviceLost, Some(victim)) => {
                let hosts = self.random.below(4) == 0 && self.host_devices_lost < MOST_LOST;
                self.host_devices_lost += u32::from(hosts);
                let who = if hosts { HOST } else { victim };
                room.phone_mut(who).ailment.broken_runs = 1;
            }
            (Trouble::OutOfMemory, Some(victim)) => {
                room.phone_mut(victim).ailment.broken_loads += 1
            }
            (Trouble::OutOfKvMemory, Some(victim)) => {
                room.phone_mut(victim).ailment.starved_runs += 1
            }
            (Trouble::Hang, Some(victim)) => room.phone_mut(victim).ailment.hangs = true,
            (Trouble::Quota, Some(victim)) => {
                room.phone(victim).storage.borrow_mut().room_for = Some(0)
            }
        }
    }

    fn join(&mut self, units: u64) {
        let budget_bytes = units * UNIT_BYTES + slack(self.blocks);
        if self.room.phone(HOST).frozen.is_none() {
            let _ = self.room.try_join(budget_bytes, Storage::default());
        }
    }

    /// Phones come that can hold everything the host cannot; the network is good again.
    fn help(&mut self) {
        self.say("help comes");
        self.room.network.loss_percent = 0;
        self.room.network.delay_ms = 0;
        self.join(u64::from(self.blocks) + 2);
        self.join(u64::from(self.blocks) + 2);
    }

    fn expected(&self) -> Vec<u32> {
        undisturbed(self.blocks, CLASS, &self.prompt, self.tokens as usize)
    }

    fn other_prompt(&self, other: u32) -> Vec<u32> {
        let ids = self.prompt.iter().rev();
        ids.map(|id| (id + 7 * (other + 1)) % 101).collect()
    }

    /// No gap, no repeat, the ids of an undisturbed run: of every question.
    fn check_answer(&mut self) -> Result<(), String> {
        let answer = self.room.answer();
        if !self.is_done() {
            let why = format!(
                "no whole answer: {} of {} tokens, {:?}",
                answer.len(),
                self.tokens,
                self.room.interruptions()
            );
            return Err(why);
        }
        self.say(&format!(
            "answered; interruptions {:?}",
            self.room.interruptions()
        ));
        for (other, question) in (0..).zip(&self.beside) {
            let (written, prompt) = (self.room.answer_to(*question), self.other_prompt(other));
            let expected = undisturbed(self.blocks, CLASS, &prompt, self.tokens as usize);
            if written != expected {
                return Err(format!("beside, wrote {written:?} instead of {expected:?}"));
            }
        }
        match answer == self.expected() {
            true => Ok(()),
            false => Err(format!("wrote {answer:?} instead of {:?}", self.expected())),
        }
    }

    /// Nobody is accused of anything, and no answer gets stuck, without a reason.
    fn check_manners(&self) -> Result<(), String> {
        let wrong = |event: &Event| match event {
            Event::Failed { fault, .. } | Event::Interrupted { fault } => {
                let accuses = fault.code == "member.misbehaved" || fault.code.starts_with("proto.");
                accuses && !self.damaged || fault.code == "answer.stalled" && !self.may_stall
            }
            _ => false,
        };
        for (id, phone) in &self.room.phones {
            if let Some((at_ms, event)) = phone.events.iter().find(|(_, event)| wrong(event)) {
                let text = format!("phone {}, at {at_ms} ms: {event:?}", id.0);
                return Err(text);
            }
        }
        Ok(())
    }

    /// The host's list is who is there and in front, and nobody else.
    fn check_roster(&self) -> Result<(), String> {
        let phones = self.room.phones.iter();
        let live: Vec<_> = phones
            .filter(|(_, phone)| !phone.is_over())
            .map(|(id, phone)| (*id, phone.hidden_until_ms.is_some()))
            .collect();
        let listed = self.room.events(HOST).rev().find_map(|event| match event {
            Event::Members { members } => Some(
                members
                    .iter()
                    .map(|member| (member.member, member.hidden))
                    .collect::<Vec<_>>(),
            ),
            _ => None,
        });
        match listed.as_ref() == Some(&live) {
            true => Ok(()),
            false => Err(format!("the list is {listed:?}, alive are {live:?}")),
        }
    }

    /// Everybody holds what the plan in force gives them, and nothing else.
    fn check_memory(&self) -> Result<(), String> {
        let plan = self.room.plan().ok_or("no plan")?;
        for (id, phone) in &self.room.phones {
            // A page whose session is over stops its workers; a stuck one does not free anything.
            if phone.ailment.hangs || phone.is_over() {
                continue;
            }
            let stages = plan.stages.iter().filter(|stage| stage.member == *id);
            let units: u32 = stages.map(|stage| stage.units.len()).sum();
            let planned = u64::from(units) * UNIT_BYTES;
            if phone.resident_bytes() != planned {
                let held = phone.resident_bytes();
                return Err(format!(
                    "phone {} holds {held} bytes, the plan says {planned}",
                    id.0
                ));
            }
        }
        Ok(())
    }

    fn check_next_answer(&mut self) -> Result<(), String> {
        let before = self.room.answers();
        self.room.ask(&self.prompt, self.tokens);
        let more = |room: &Room| room.answers() > before;
        let mut done = self.room.run_until(PATIENCE_MS, more);
        if !done {
            // A fault of before took effect only now.
            self.help();
            done = self.room.run_until(PATIENCE_MS, more);
        }
        match done && self.room.answer() == self.expected() {
            true => Ok(()),
            false => Err(format!(
                "the next answer was {:?}, {:?}",
                self.room.answer(),
                self.room.codes(HOST)
            )),
        }
    }
}

/// The last plan was loaded and nothing interrupted it.
fn is_settled(room: &Room) -> bool {
    let last = room.events(HOST).rev().find_map(|event| match event {
        Event::Ready { .. } => Some(true),
        Event::Planned { .. } | Event::Interrupted { .. } => Some(false),
        _ => None,
    });
    last == Some(true)
}

/// What a phone needs besides weights.
fn slack(blocks: u32) -> u64 {
    const KV_BYTES: u64 = 64 << 10;
    let NumericClass { chunk_columns, .. } = CLASS;
    segment::scratch_bytes(&graph(blocks), chunk_columns) + KV_BYTES
}
