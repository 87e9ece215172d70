//! Messages between members and their wire form.
//!
//! Control messages are postcard behind a protocol number; hidden states travel as frames, cut into slices of at most
//! [`frame::MAX_SLICE_BYTES`]. Whatever a stranger sends is bounded before memory is allocated for it.

#![deny(clippy::indexing_slicing)]

pub mod assembly;
pub mod control;
mod envelope;
mod error;
pub mod frame;
pub mod handshake;
mod view;
pub mod weights;

pub use assembly::Assembler;
pub use control::{Cached, Control, Ending, Resume, Start, Summary};
pub use envelope::PROTOCOL;
pub use error::ProtoError;
pub use frame::{Frame, FrameHeader, Slice, Wanted};
pub use handshake::Handshake;
pub use view::{Fault, MemberView, ModelReference, Progress};
pub use weights::{Item, Run, Weights};
