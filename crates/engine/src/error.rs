//! What can go wrong while loading or running a segment.

/// An executor's typed failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// A call that contradicts the setup: a bug on our side or a hostile peer.
    #[error("the engine was asked for something impossible: {detail}")]
    Misuse {
        /// Which rule was broken.
        detail: String,
    },
    /// `finish_loading` before every row arrived.
    #[error("weight {tensor} is incomplete: row {first_missing_row} is missing")]
    Incomplete {
        /// Tensor name.
        tensor: String,
        /// First row that never arrived.
        first_missing_row: u32,
    },
    /// A weight that no model means to have.
    #[error("weight {tensor} holds a number that is not finite")]
    NotFinite {
        /// Tensor name.
        tensor: String,
    },
    /// A step beyond the static KV cache.
    #[error("position {position} is beyond the {context_columns} columns this room was set up for")]
    ContextFull {
        /// One past the last column asked for.
        position: u32,
        /// Columns allocated.
        context_columns: u32,
    },
    /// The page's memory does not suffice.
    #[error("this page has no memory for another {} MiB", bytes.div_ceil(1 << 20))]
    OutOfMemory {
        /// Size of the allocation that failed.
        bytes: u64,
    },
    /// No usable WebGPU adapter.
    #[error("no GPU can be used here: {detail}")]
    NoAdapter {
        /// What was missing.
        detail: String,
    },
    /// Adapter limits or memory do not suffice.
    #[error("the GPU cannot hold this segment: {detail}")]
    GpuLimit {
        /// Limit and need.
        detail: String,
    },
    /// The device was lost or a kernel failed validation.
    #[error("the GPU stopped working: {detail}")]
    DeviceLost {
        /// The driver's words.
        detail: String,
    },
    /// The golden self-test gave other numbers than the CPU reference.
    #[error("the GPU computes wrong numbers here (largest error {largest_error})")]
    SelfTest {
        /// Largest absolute difference, as text.
        largest_error: String,
    },
}

impl EngineError {
    /// Stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Misuse { .. } => "engine.misuse",
            Self::Incomplete { .. } => "engine.incomplete",
            Self::NotFinite { .. } => "engine.not_finite",
            Self::ContextFull { .. } => "engine.context_full",
            Self::OutOfMemory { .. } => "engine.out_of_memory",
            Self::NoAdapter { .. } => "engine.no_adapter",
            Self::GpuLimit { .. } => "engine.gpu_limit",
            Self::DeviceLost { .. } => "engine.device_lost",
            Self::SelfTest { .. } => "engine.self_test",
        }
    }

    /// What a person can do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Misuse { .. } => {
                "Reload the page on every phone so that all run the same version."
            }
            Self::Incomplete { .. } => "Reload the page; the missing part is downloaded again.",
            Self::NotFinite { .. } => "Choose another model file: this one is damaged.",
            Self::ContextFull { .. } => {
                "Start a new chat, or start the room with a longer context."
            }
            Self::NoAdapter { .. } => {
                "Use a browser with WebGPU (Chrome 121+ on Android, Safari on iOS 26+), or join as a CPU phone."
            }
            Self::OutOfMemory { .. } => {
                "Close other tabs, or let more phones join so that each holds less."
            }
            Self::GpuLimit { .. } => "Let more phones join so that each holds less.",
            Self::DeviceLost { .. } => "Close other heavy tabs and join again.",
            Self::SelfTest { .. } => "This phone joins with its CPU instead.",
        }
    }
}
