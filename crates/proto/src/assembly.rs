//! Slices back into frames. One assembler per sender; its channel is ordered.

use crate::error::ProtoError;
use crate::frame::{Frame, FrameHeader, Slice};

/// Holds at most one unfinished frame, of at most the length its caller allows.
#[derive(Debug, Default)]
pub struct Assembler {
    partial: Option<Partial>,
}

#[derive(Debug)]
struct Partial {
    header: FrameHeader,
    next_index: u16,
    body: Vec<u8>,
}

impl Assembler {
    /// Adds a slice; the frame when it was the last one. A first slice drops what was unfinished.
    ///
    /// # Errors
    /// A frame longer than `most_bytes`; a slice that does not continue the frame begun.
    pub fn add(&mut self, slice: Slice<'_>, most_bytes: u64) -> Result<Option<Frame>, ProtoError> {
        let mut partial = match slice.index {
            0 => Partial::begin(slice.header, most_bytes)?,
            index => self
                .partial
                .take()
                .filter(|partial| partial.header == slice.header && partial.next_index == index)
                .ok_or(ProtoError::Order)?,
        };
        partial.body.extend_from_slice(slice.piece);
        partial.next_index = partial.next_index.saturating_add(1);
        if partial.body.len() < partial.header.body_bytes as usize {
            self.partial = Some(partial);
            return Ok(None);
        }
        self.partial = None;
        Ok(Some(Frame {
            header: partial.header,
            body: partial.body,
        }))
    }
}

impl Partial {
    fn begin(header: FrameHeader, most_bytes: u64) -> Result<Self, ProtoError> {
        let bytes = u64::from(header.body_bytes);
        if bytes > most_bytes {
            return Err(ProtoError::TooLong {
                bytes,
                most: most_bytes,
            });
        }
        Ok(Self {
            header,
            next_index: 0,
            body: Vec::with_capacity(header.body_bytes as usize),
        })
    }
}
