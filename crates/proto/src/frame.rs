//! Frames: columns of the residual stream on their way to the next stage, in slices that each carry the whole header.

use model::{UnitRange, WireDtype};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::ProtoError;

/// Longest message on the activation channel: header and piece of the body.
pub const MAX_SLICE_BYTES: usize = 4096;
/// Bytes of a header.
pub const HEADER_BYTES: usize = size_of::<Layout>();
/// Body bytes a slice carries at most; all slices but the last carry as many.
pub const MAX_PIECE_BYTES: usize = MAX_SLICE_BYTES - HEADER_BYTES;
/// Longest body, bytes: as many slices as can be counted.
pub const MAX_BODY_BYTES: usize = MAX_PIECE_BYTES * u16::MAX as usize;

const MAGIC: u16 = 0x4C4C;
const VERSION: u8 = 1;
const PREFILL: u8 = 1;
const LAST_COLUMN: u8 = 2;

/// What the room wants from these columns after the last block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// KV rows only: prompt columns before the last chunk.
    Nothing,
    /// The last column, for the head.
    LastColumn,
}

/// What a frame is, on every slice of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Of the plan.
    pub epoch: u32,
    /// Number of the request.
    pub request: u32,
    /// Forward call of the request, from 0.
    pub step: u32,
    /// Index in the plan of the stage it goes to.
    pub stage: u16,
    /// Units of that stage.
    pub units: UnitRange,
    /// Absolute position of the first column.
    pub position: u32,
    /// Columns in the body.
    pub columns: u32,
    /// Prompt columns, or generated ones.
    pub prefill: bool,
    /// What the room wants from them.
    pub wanted: Wanted,
    /// Dtype of the columns.
    pub dtype: WireDtype,
    /// Compute times in front of the columns, one per stage passed.
    pub timings: u8,
    /// Bytes of the body: timings, then columns.
    pub body_bytes: u32,
}

/// One message of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice<'a> {
    /// Of the frame.
    pub header: FrameHeader,
    /// Which piece of the body.
    pub index: u16,
    /// The piece.
    pub piece: &'a [u8],
}

/// A whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub header: FrameHeader,
    /// `header.body_bytes` bytes.
    pub body: Vec<u8>,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    magic: U16,
    version: u8,
    flags: u8,
    epoch: U32,
    request: U32,
    step: U32,
    units_start: U32,
    units_end: U32,
    position: U32,
    columns: U32,
    stage: U16,
    dtype: u8,
    timings: u8,
    slice: U16,
    slices: U16,
    body_bytes: U32,
}

impl FrameHeader {
    /// Slices the body is cut into.
    fn slices(&self) -> usize {
        (self.body_bytes as usize).div_ceil(MAX_PIECE_BYTES).max(1)
    }

    fn layout(&self, index: u16, slices: u16) -> Layout {
        let prefill = if self.prefill { PREFILL } else { 0 };
        let last_column = match self.wanted {
            Wanted::LastColumn => LAST_COLUMN,
            Wanted::Nothing => 0,
        };
        Layout {
            magic: MAGIC.into(),
            version: VERSION,
            flags: prefill | last_column,
            epoch: self.epoch.into(),
            request: self.request.into(),
            step: self.step.into(),
            units_start: self.units.start.into(),
            units_end: self.units.end.into(),
            position: self.position.into(),
            columns: self.columns.into(),
            stage: self.stage.into(),
            dtype: match self.dtype {
                WireDtype::F32 => 0,
                WireDtype::F16Scaled => 1,
            },
            timings: self.timings,
            slice: index.into(),
            slices: slices.into(),
            body_bytes: self.body_bytes.into(),
        }
    }

    fn of_layout(layout: &Layout) -> Result<Self, ProtoError> {
        if layout.magic.get() != MAGIC {
            return Err(frame("it does not start like one"));
        }
        if layout.version != VERSION {
            return Err(ProtoError::Version {
                theirs: layout.version,
                ours: VERSION,
            });
        }
        if layout.flags & !(PREFILL | LAST_COLUMN) != 0 {
            return Err(frame("unknown flags"));
        }
        Ok(Self {
            epoch: layout.epoch.get(),
            request: layout.request.get(),
            step: layout.step.get(),
            stage: layout.stage.get(),
            units: UnitRange {
                start: layout.units_start.get(),
                end: layout.units_end.get(),
            },
            position: layout.position.get(),
            columns: layout.columns.get(),
            prefill: layout.flags & PREFILL != 0,
            wanted: match layout.flags & LAST_COLUMN {
                0 => Wanted::Nothing,
                _ => Wanted::LastColumn,
            },
            dtype: match layout.dtype {
                0 => WireDtype::F32,
                1 => WireDtype::F16Scaled,
                _ => return Err(frame("unknown dtype")),
            },
            timings: layout.timings,
            body_bytes: layout.body_bytes.get(),
        })
    }
}

impl<'a> Slice<'a> {
    /// Reads one message of the activation channel; allocates nothing.
    ///
    /// # Errors
    /// Not a slice, or a piece that is not as long as its place in the frame demands.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ProtoError> {
        if bytes.len() > MAX_SLICE_BYTES {
            return Err(ProtoError::TooLong {
                bytes: bytes.len() as u64,
                most: MAX_SLICE_BYTES as u64,
            });
        }
        let (layout, piece) =
            Layout::ref_from_prefix(bytes).map_err(|_| frame("it is shorter than a header"))?;
        let header = FrameHeader::of_layout(layout)?;
        let index = layout.slice.get();
        if header.slices() != usize::from(layout.slices.get()) || index >= layout.slices.get() {
            return Err(frame("its slices do not add up"));
        }
        let before = usize::from(index) * MAX_PIECE_BYTES;
        let expected = (header.body_bytes as usize - before).min(MAX_PIECE_BYTES);
        if piece.len() != expected {
            return Err(frame("a slice has the wrong length"));
        }
        Ok(Self {
            header,
            index,
            piece,
        })
    }
}

/// Cuts a frame into messages; `body` must be `header.body_bytes` long.
///
/// # Errors
/// A body of another length, or longer than [`MAX_BODY_BYTES`].
pub fn slices<'a>(
    header: &'a FrameHeader,
    body: &'a [u8],
) -> Result<impl Iterator<Item = Vec<u8>> + 'a, ProtoError> {
    if body.len() > MAX_BODY_BYTES {
        return Err(ProtoError::TooLong {
            bytes: body.len() as u64,
            most: MAX_BODY_BYTES as u64,
        });
    }
    if body.len() != header.body_bytes as usize || body.is_empty() {
        return Err(frame("its body is not as long as announced"));
    }
    let count = header.slices() as u16;
    let pieces = (0..count).zip(body.chunks(MAX_PIECE_BYTES));
    Ok(pieces.map(move |(index, piece)| {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + piece.len());
        bytes.extend_from_slice(header.layout(index, count).as_bytes());
        bytes.extend_from_slice(piece);
        bytes
    }))
}

const fn frame(detail: &'static str) -> ProtoError {
    ProtoError::Frame { detail }
}
