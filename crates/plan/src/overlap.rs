//! The second programme: spare memory is spent on units that a phone does not run yet, so that the likeliest moves need no download.
//!
//! Likely is what the planner itself would do if one phone slowed down or left: each phone of the ring in turn, all cases equally likely.
//! A unit is worth the download it saves in those cases. Every phone keeps the run around its stage, or, if it waits, any run, that is
//! worth most and fits.

use model::UnitRange;

use crate::error::PlanError;
use crate::ground::{Ground, Phone};
use crate::profile::{Held, MemberId, Stage};
use crate::search;
use crate::track::Track;
use crate::walk::Itinerary;

/// How much slower a phone may become: warm, or hot and busy with something else.
const SLOW_DOWNS: [f64; 2] = [1.5, 4.0];
/// Peers up to which a case may put them into any order.
const ANY_ORDER_PEERS: usize = 5;
/// Of the phones that wait in larger rooms, so many may be what a case needs.
const WAITING: usize = 8;
/// Additions for one case: it need not be exact.
const CASE_EFFORT: u64 = 60_000;

const NOTHING: UnitRange = UnitRange { start: 1, end: 1 };

/// What every phone should keep loaded besides the head; phones that should keep nothing are not listed.
pub(crate) fn held(ground: &Ground, stages: &[Stage]) -> Result<Vec<Held>, PlanError> {
    let waits = |peer: &&Phone| stages.iter().all(|stage| stage.member != peer.member);
    let peers = ground.peers.iter().filter(waits);
    let going: Vec<_> = peers
        .filter(|peer| peer.may_go)
        .map(|peer| peer.member)
        .collect();
    // Nothing will move to them.
    let ground = &ground.without(&going);
    let likely = likely_stages(ground, stages)?;
    let phones = core::iter::once(&ground.host).chain(&ground.peers);
    let held = phones.map(|phone| Held {
        member: phone.member,
        units: match phone.metered {
            true => own_units(phone, stages).unwrap_or(NOTHING),
            false => most_worth(ground, phone, stages, &likely),
        },
    });
    Ok(held.filter(|held| !held.units.is_empty()).collect())
}

/// What the planner would do in each case.
fn likely_stages(ground: &Ground, stages: &[Stage]) -> Result<Vec<Vec<Stage>>, PlanError> {
    let mut cases = Vec::new();
    for stage in stages
        .iter()
        .filter(|stage| stage.units.start != ground.head())
    {
        let slow_downs = SLOW_DOWNS.iter();
        cases.extend(slow_downs.map(|&factor| ground.slowed(stage.member, factor)));
        if stage.member != MemberId::HOST {
            cases.push(ground.without(&[stage.member]));
        }
    }
    let mut likely = Vec::new();
    for case in cases {
        let host_engine = stages.first().map(|stage| stage.engine);
        let mut hosts = case.host.speeds.iter();
        let Some(host) = hosts.find(|speed| Some(speed.engine) == host_engine) else {
            continue;
        };
        let itinerary = itinerary(&case, stages);
        let track = Track::new(&case, host)?;
        let searched = search::search(&track, &itinerary, f64::INFINITY, CASE_EFFORT)?;
        likely.extend(searched.ring.map(|ring| ring.stages));
    }
    Ok(likely)
}

/// Any order in small rooms; in large ones the phones of the ring as they are, then the fastest of those that wait.
fn itinerary(case: &Ground, stages: &[Stage]) -> Itinerary {
    let peers = case.peers.len();
    if peers <= ANY_ORDER_PEERS {
        return Itinerary::any_order(peers, None);
    }
    let peer_of = |member| case.peers.iter().position(|peer| peer.member == member);
    let mut order: Vec<usize> = stages
        .iter()
        .filter_map(|stage| peer_of(stage.member))
        .collect();
    let block_ms = |peer: &Phone| {
        let speeds = peer.speeds.iter();
        let blocks_ms = speeds.map(|speed| speed.lap.attention + speed.lap.mlp);
        blocks_ms.fold(f64::INFINITY, f64::min)
    };
    let waiting = case.peers.iter().enumerate();
    let waiting = waiting.filter(|(peer, _)| !order.contains(peer));
    let mut waiting: Vec<_> = waiting
        .map(|(peer, phone)| (block_ms(phone), peer))
        .collect();
    waiting.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    order.extend(waiting.iter().take(WAITING).map(|(_, peer)| peer));
    Itinerary::in_order(&order, None)
}

/// The run of blocks around a phone's stage that is worth most and fits; the smallest of equals. For the host it starts with the embedding.
fn most_worth(
    ground: &Ground,
    phone: &Phone,
    stages: &[Stage],
    likely: &[Vec<Stage>],
) -> UnitRange {
    let own = own_units(phone, stages);
    // The host alone already has everything.
    if let Some(everything) = own.filter(|own| own.end == ground.end) {
        return everything;
    }
    let is_host = phone.member == ground.host.member;
    let usable_bytes = match is_host {
        true => phone.usable_bytes.saturating_sub(ground.head_bytes()),
        false => phone.usable_bytes,
    };
    let first_start = if is_host { 0 } else { 1 };
    let last_start = match own {
        Some(own) => own.start,
        None => ground.head(),
    };
    let worth_before = worth_before(ground, phone.member, own, likely);
    let worth = |units: UnitRange| {
        let before = |unit: u32| worth_before.get(unit as usize).copied().unwrap_or(0);
        before(units.end) - before(units.start)
    };
    let mut best = own.unwrap_or(NOTHING);
    for start in (first_start..=last_start).rev() {
        let end = ground.longest_from(start, usable_bytes);
        let units = UnitRange { start, end };
        let covers = own.is_none_or(|own| own.end <= end);
        if covers && worth(units) > worth(best) {
            best = units;
        }
    }
    without_worthless_ends(best, own, |unit| {
        let end = unit + 1;
        worth(UnitRange { start: unit, end }) == 0
    })
}

/// A phone's stage, for the host the one below the head.
fn own_units(phone: &Phone, stages: &[Stage]) -> Option<UnitRange> {
    let mut own = stages.iter().filter(|stage| stage.member == phone.member);
    own.next().map(|stage| stage.units)
}

/// Entry i: download bytes, over all cases, that having the units before unit i saves.
fn worth_before(
    ground: &Ground,
    member: MemberId,
    own: Option<UnitRange>,
    likely: &[Vec<Stage>],
) -> Vec<u64> {
    let mut sum = 0_u64;
    let mut before = vec![sum];
    for (unit, need) in (0..).zip(&ground.problem.units) {
        let gets = |stages: &&Vec<Stage>| {
            let mut stages = stages.iter();
            stages.any(|stage| stage.member == member && stage.units.contains(unit))
        };
        let has_it = own.is_some_and(|own| own.contains(unit));
        if !has_it && unit < ground.head() {
            let cases = likely.iter().filter(gets).count() as u64;
            sum = sum.saturating_add(need.weight_bytes.saturating_mul(cases));
        }
        before.push(sum);
    }
    before
}

fn without_worthless_ends(
    mut units: UnitRange,
    own: Option<UnitRange>,
    worthless: impl Fn(u32) -> bool,
) -> UnitRange {
    let own = own.unwrap_or(UnitRange {
        start: u32::MAX,
        end: 0,
    });
    while units.start < units.end.min(own.start) && worthless(units.start) {
        units.start += 1;
    }
    while units.end > units.start.max(own.end) && worthless(units.end - 1) {
        units.end -= 1;
    }
    units
}
