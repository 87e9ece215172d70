//! What a member still has of the requests being answered: KV in its engine, and the columns it sent on. After a fault only what is
//! lost is computed again, from the nearest cut upstream whose columns somebody kept.

use std::collections::BTreeMap;

use proto::{Cached, Resume, Start};

use crate::ring::Pass;

/// Columns kept of all requests together, bytes at most: 4096 columns of a width of 2048, in halves.
const MAX_KEPT_BYTES: usize = 16 << 20;

/// Of every request being answered.
#[derive(Debug, Default)]
pub(crate) struct History {
    requests: BTreeMap<u32, Past>,
}

/// Of one request.
#[derive(Debug, Default)]
struct Past {
    /// Where the engine has its KV, and of how many columns.
    slot: u32,
    columns: u32,
    /// First unit behind the cut where the kept columns left.
    cut: u32,
    kept_from: u32,
    kept_to: u32,
    /// As they went over the wire.
    kept: Vec<u8>,
}

impl History {
    /// The engine ran a pass in this slot, up to this cut; `sent` are its columns on the wire, where all of them go on.
    pub fn ran(&mut self, pass: &Pass, slot: u32, cut: u32, sent: Option<&[u8]>) {
        let kept: usize = self.requests.values().map(|past| past.kept.len()).sum();
        let past = self.requests.entry(pass.request).or_default();
        let end = pass.position + pass.columns;
        past.slot = slot;
        past.columns = end;
        match sent {
            Some(bytes) if kept + bytes.len() <= MAX_KEPT_BYTES => {
                past.keep(pass.position, end, cut, bytes);
            }
            _ => past.forget(end, cut),
        }
    }

    /// A request ended.
    pub fn forget(&mut self, request: u32) {
        self.requests.remove(&request);
    }

    /// What is left for a stage that ends at this cut, where the engine still has so many columns in each slot.
    pub fn held(&self, cached_columns: &[u32], cut: u32) -> Vec<Cached> {
        let requests = self.requests.iter();
        let held = requests.map(|(request, past)| {
            let cached = cached_columns.get(past.slot as usize);
            let kept = (past.kept_from, past.kept_to);
            Cached {
                request: *request,
                columns: past.columns.min(cached.copied().unwrap_or(0)),
                kept: (cut == past.cut && kept.0 < kept.1).then_some(kept),
            }
        });
        held.collect()
    }

    /// Columns from `from` up to `to` of a request, as they went over the wire.
    pub fn columns(&self, request: u32, from: u32, to: u32) -> Option<&[u8]> {
        let past = self.requests.get(&request)?;
        let known = past.kept_from <= from && to <= past.kept_to;
        known.then(|| past.kept.get(past.offset(from)..past.offset(to)))?
    }
}

impl Past {
    fn keep(&mut self, position: u32, end: u32, cut: u32, bytes: &[u8]) {
        let follows = cut == self.cut && (self.kept_from..=self.kept_to).contains(&position);
        if !follows {
            self.forget(position, cut);
        }
        self.kept.truncate(self.offset(position));
        self.kept.extend_from_slice(bytes);
        self.kept_to = end;
    }

    fn forget(&mut self, from: u32, cut: u32) {
        self.cut = cut;
        self.kept_from = from;
        self.kept_to = from;
        self.kept = Vec::new();
    }

    /// Where a kept column begins: all are equally long.
    fn offset(&self, position: u32) -> usize {
        let columns = (self.kept_to - self.kept_from) as usize;
        let before = position.saturating_sub(self.kept_from) as usize;
        match columns {
            0 => 0,
            _ => self.kept.len() / columns * before,
        }
    }
}

/// Where each stage in front of the head begins again, from what its member still has; passes from `position` on enter anew.
pub(crate) fn starts(held: &[Cached], position: u32) -> Vec<Start> {
    let mut starts = Vec::new();
    // First column that the stage behind needs; the head needs none of those before.
    let mut needed = position;
    for held in held.iter().rev() {
        let covers = |(from, to): (u32, u32)| from <= needed && position <= to;
        let resend = needed < position && held.kept.is_some_and(covers);
        let computed = if resend { position } else { needed };
        let from = held.columns.min(computed);
        starts.push(Start { from, resend });
        needed = from;
    }
    starts.reverse();
    starts
}

/// The first column a stage sends on once it has computed it: what is before is there already, or was kept and is sent again.
pub(crate) fn forward_from(resume: &Resume, index: usize) -> u32 {
    let start = resume.starts.get(index);
    match resume.starts.get(index + 1) {
        Some(next) if !start.is_some_and(|start| start.resend) => next.from,
        _ => resume.position,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(columns: u32, kept: Option<(u32, u32)>) -> Cached {
        Cached {
            request: 1,
            columns,
            kept,
        }
    }

    fn from(held: &[Cached]) -> Vec<(u32, bool)> {
        let starts = starts(held, 40);
        starts
            .iter()
            .map(|start| (start.from, start.resend))
            .collect()
    }

    #[test]
    fn nothing_is_computed_twice_where_nothing_was_lost() {
        let all = held(40, Some((0, 41)));
        assert_eq!(from(&[all, all, all]), [(40, false); 3]);
    }

    #[test]
    fn a_lost_stage_is_fed_from_what_its_neighbour_kept() {
        let (all, lost) = (held(41, Some((0, 41))), held(0, None));
        assert_eq!(
            from(&[all, lost, all]),
            [(40, true), (0, false), (40, false)]
        );
        assert_eq!(
            from(&[all, all, lost]),
            [(40, false), (40, true), (0, false)]
        );
        assert_eq!(from(&[lost, all]), [(0, false), (40, false)]);
    }

    #[test]
    fn where_nobody_kept_enough_the_stage_before_computes_again() {
        let (all, some, lost) = (
            held(40, Some((0, 40))),
            held(40, Some((16, 40))),
            held(0, None),
        );
        assert_eq!(
            from(&[all, some, lost]),
            [(40, true), (0, false), (0, false)]
        );
        assert_eq!(
            from(&[some, some, lost]),
            [(0, false), (0, false), (0, false)]
        );
    }

    #[test]
    fn a_stage_with_fewer_columns_is_fed_the_rest() {
        let (all, behind) = (held(40, Some((0, 40))), held(32, Some((0, 32))));
        assert_eq!(
            from(&[all, behind, all]),
            [(40, true), (32, false), (40, false)]
        );
    }
}
