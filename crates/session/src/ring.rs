//! A plan in force: which frame goes where, and which frame may come.

use model::{NumericClass, WireDtype, wire};
use plan::{MemberId, Plan, Stage};
use proto::{Frame, FrameHeader, Resume, Wanted};

use crate::error::SessionError;
use crate::history::History;
use crate::seam::{Job, JobInput, WantColumns};

/// One forward call of the whole ring, as far as it has come.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pass {
    pub request: u32,
    /// From 0 within the request.
    pub step: u32,
    /// Of the first column.
    pub position: u32,
    pub columns: u32,
    pub prefill: bool,
    pub wanted: Wanted,
    /// Compute ms of the stages passed.
    pub timings: Vec<f32>,
}

/// A frame on its way to the next stage.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outgoing {
    pub to: MemberId,
    pub header: FrameHeader,
    pub body: Vec<u8>,
    timings_bytes: usize,
}

impl Outgoing {
    /// Its columns, without what was added on the way.
    pub fn columns(&self) -> &[u8] {
        self.body.get(self.timings_bytes..).unwrap_or_default()
    }
}

/// A plan and what its frames look like.
#[derive(Debug, Clone)]
pub(crate) struct Ring {
    pub plan: Plan,
    hidden_width: u32,
}

impl Ring {
    pub fn new(plan: Plan, hidden_width: u32) -> Self {
        Self { plan, hidden_width }
    }

    pub fn stage(&self, index: u16) -> Option<&Stage> {
        self.plan.stages.get(usize::from(index))
    }

    /// The only stage a peer has.
    pub fn index_of(&self, member: MemberId) -> Option<u16> {
        let index = self
            .plan
            .stages
            .iter()
            .position(|stage| stage.member == member)?;
        u16::try_from(index).ok()
    }

    pub fn stages_of(&self, member: MemberId) -> impl Iterator<Item = &Stage> {
        self.plan
            .stages
            .iter()
            .filter(move |stage| stage.member == member)
    }

    pub fn contains(&self, member: MemberId) -> bool {
        self.stages_of(member).next().is_some()
    }

    /// The stage of the head.
    pub fn last(&self) -> u16 {
        u16::try_from(self.plan.stages.len().saturating_sub(1)).unwrap_or(u16::MAX)
    }

    /// Whether `from` runs the stage before `index`.
    pub fn precedes(&self, from: MemberId, index: u16) -> bool {
        let before = index.checked_sub(1).and_then(|before| self.stage(before));
        before.is_some_and(|stage| stage.member == from)
    }

    /// Bytes a column has on the wire.
    fn column_bytes(&self) -> u64 {
        wire::bytes_per_column(self.dtype(), self.hidden_width)
    }

    fn dtype(&self) -> WireDtype {
        self.plan.class.wire
    }

    /// Columns wanted of a stage: all of them on the way, one or none in front of the head and behind it.
    pub fn want(&self, index: u16, wanted: Wanted) -> WantColumns {
        if index.saturating_add(1) < self.last() {
            return WantColumns::Every;
        }
        match wanted {
            Wanted::Nothing => WantColumns::Nothing,
            Wanted::LastColumn => WantColumns::Last,
        }
    }

    /// The work of a stage, with KV in this slot.
    pub fn job(
        &self,
        index: u16,
        slot: u32,
        pass: &Pass,
        input: JobInput,
    ) -> Result<Job, SessionError> {
        let stage = self.stage(index).ok_or(SessionError::Engine {
            detail: "no such stage",
        })?;
        Ok(Job::Run {
            units: stage.units,
            slot,
            position: pass.position,
            columns: pass.columns,
            prefill: pass.prefill,
            want: self.want(index, pass.wanted),
            input,
        })
    }

    /// The frame that leaves stage `index`; `None` where nothing goes on.
    pub fn forward(
        &self,
        index: u16,
        pass: &Pass,
        values: &[f32],
    ) -> Result<Option<Outgoing>, SessionError> {
        let next = index.saturating_add(1);
        let (columns, position) = match self.want(index, pass.wanted) {
            WantColumns::Every => (pass.columns, pass.position),
            WantColumns::Last => (1, pass.position + pass.columns.saturating_sub(1)),
            WantColumns::Nothing => return Ok(None),
        };
        let Some(stage) = self.stage(next) else {
            return Ok(None);
        };
        if values.len() as u64 != u64::from(columns) * u64::from(self.hidden_width) {
            return Err(SessionError::Engine {
                detail: "not the columns that were wanted",
            });
        }
        let mut encoded = Vec::new();
        wire::encode(self.dtype(), self.hidden_width, values, &mut encoded);
        let sent = Pass {
            position,
            columns,
            ..pass.clone()
        };
        Ok(Some(self.outgoing(next, stage, &sent, &encoded)))
    }

    /// Encoded columns as they go to stage `next`.
    fn outgoing(&self, next: u16, stage: &Stage, pass: &Pass, encoded: &[u8]) -> Outgoing {
        let mut body = Vec::with_capacity(4 * pass.timings.len() + encoded.len());
        for ms in &pass.timings {
            body.extend_from_slice(&ms.to_le_bytes());
        }
        let timings_bytes = body.len();
        body.extend_from_slice(encoded);
        let header = FrameHeader {
            epoch: self.plan.epoch,
            request: pass.request,
            step: pass.step,
            stage: next,
            units: stage.units,
            position: pass.position,
            columns: pass.columns,
            prefill: pass.prefill,
            wanted: pass.wanted,
            dtype: self.dtype(),
            timings: u8::try_from(pass.timings.len()).unwrap_or(u8::MAX),
            body_bytes: u32::try_from(body.len()).unwrap_or(u32::MAX),
        };
        Outgoing {
            to: stage.member,
            header,
            body,
            timings_bytes,
        }
    }

    /// What stage `index` kept and the stage behind needs again, on the grid of the request.
    pub fn again(&self, index: u16, resume: &Resume, history: &History) -> Option<Vec<Outgoing>> {
        let next = index.saturating_add(1);
        let start = resume.starts.get(usize::from(next))?;
        let stage = self.stage(next)?;
        let mut frames = Vec::new();
        let mut from = start.from;
        while from < resume.position {
            let prefill = from < resume.prompt_columns;
            let to = self.pass_end(from, resume.position, resume);
            let pass = Pass {
                request: resume.request,
                step: 0,
                position: from,
                columns: to - from,
                prefill,
                wanted: Wanted::Nothing,
                timings: vec![0.0; usize::from(next)],
            };
            let encoded = history.columns(resume.request, from, to)?;
            frames.push(self.outgoing(next, stage, &pass, encoded));
            from = to;
        }
        Some(frames)
    }

    /// Where a pass that begins at `from` ends: on the chunk grid in the prompt, after at most 8 generated columns, and where another
    /// stage begins again; at `most` at the latest.
    pub fn pass_end(&self, from: u32, most: u32, resume: &Resume) -> u32 {
        let chunk = self.plan.class.chunk_columns.max(1);
        let end = match from < resume.prompt_columns {
            true => ((from / chunk + 1).saturating_mul(chunk)).min(resume.prompt_columns),
            false => from.saturating_add(NumericClass::MAX_DECODE_COLUMNS),
        };
        let begins = resume.starts.iter().map(|start| start.from);
        let begins = begins
            .chain([resume.position])
            .filter(|begin| *begin > from);
        begins.fold(end.min(most), u32::min)
    }

    /// Longest body of a frame that says what `header` says.
    pub fn body_bytes(&self, header: &FrameHeader) -> u64 {
        4 * u64::from(header.timings) + u64::from(header.columns) * self.column_bytes()
    }

    /// Whether a frame of this epoch may enter stage `index` as it is. In words, why not.
    pub fn check(&self, index: u16, header: &FrameHeader) -> Result<(), &'static str> {
        let class = self.plan.class;
        if header.stage != index || self.stage(index).map(|stage| stage.units) != Some(header.units)
        {
            return Err("a frame for units that are not here");
        }
        if header.dtype != class.wire {
            return Err("a frame of another dtype");
        }
        if u16::from(header.timings) != index {
            return Err("a frame that did not pass every stage");
        }
        let most = match header.prefill {
            true => class.chunk_columns - header.position % class.chunk_columns.max(1),
            false => model::NumericClass::MAX_DECODE_COLUMNS,
        };
        let end = u64::from(header.position) + u64::from(header.columns);
        if header.columns == 0 || header.columns > most || end > u64::from(class.context_columns) {
            return Err("a frame with columns outside the context or the chunk grid");
        }
        if u64::from(header.body_bytes) != self.body_bytes(header) {
            return Err("a frame of the wrong length");
        }
        Ok(())
    }

    /// A checked frame as a pass and what enters the stage.
    pub fn enter(&self, frame: &Frame) -> Result<(Pass, JobInput), &'static str> {
        let header = &frame.header;
        let (timings, columns) = frame
            .body
            .split_at_checked(4 * usize::from(header.timings))
            .ok_or("a frame of the wrong length")?;
        let (timings, _) = timings.as_chunks::<4>();
        let mut hidden = Vec::new();
        wire::decode(
            header.dtype,
            self.hidden_width,
            header.columns,
            columns,
            &mut hidden,
        )
        .map_err(|_| "a frame with numbers that cannot be")?;
        let pass = Pass {
            request: header.request,
            step: header.step,
            position: header.position,
            columns: header.columns,
            prefill: header.prefill,
            wanted: header.wanted,
            timings: timings.iter().copied().map(f32::from_le_bytes).collect(),
        };
        Ok((pass, JobInput::Hidden(hidden)))
    }
}
