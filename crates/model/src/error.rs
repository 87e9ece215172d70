//! Everything that can be wrong with a model file.

/// A model this engine cannot use, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The bytes do not start with `GGUF`.
    #[error("this is not a GGUF model file")]
    NotGguf,
    /// A GGUF version other than 3 (or 2, which has the same layout).
    #[error("GGUF version {version} is not supported")]
    Version {
        /// Version found.
        version: u32,
    },
    /// The file ends before what its header promises.
    #[error(
        "the model file is truncated: {what} needs {needed_bytes} bytes, the file has {file_bytes}"
    )]
    Truncated {
        /// What was being read.
        what: String,
        /// End of that thing, from the start of the file.
        needed_bytes: u64,
        /// Size of the file.
        file_bytes: u64,
    },
    /// A field contradicts another one or a hard limit.
    #[error("the model file is corrupt: {detail}")]
    Corrupt {
        /// Which field, in words.
        detail: String,
    },
    /// An architecture without a graph builder.
    #[error("the architecture \"{name}\" is not supported yet")]
    Architecture {
        /// `general.architecture`.
        name: String,
    },
    /// A tensor type without a kernel.
    #[error("tensor {tensor} has type {type_code}, which is not supported yet")]
    TensorType {
        /// Tensor name.
        tensor: String,
        /// GGUF type number.
        type_code: u32,
    },
    /// A tensor of a repository in a type that is not read.
    #[error("tensor {tensor} has type {dtype}, which is not supported")]
    SourceType {
        /// Tensor name.
        tensor: String,
        /// As the file writes it.
        dtype: String,
    },
    /// A tensor the architecture needs is absent.
    #[error("the model file has no tensor {name}")]
    MissingTensor {
        /// Name looked for.
        name: String,
    },
    /// A metadata key the architecture needs is absent or of another type.
    #[error("the model file has no usable field {key}")]
    MissingField {
        /// Metadata key.
        key: String,
    },
    /// A chunk does not have the hash its manifest promises.
    #[error("a piece of the model ({offset}..{end}) arrived damaged")]
    ChunkHash {
        /// Offset of the chunk in the file.
        offset: u64,
        /// End of the chunk in the file.
        end: u64,
    },
    /// A hidden state from another phone that is none.
    #[error("columns from another phone cannot be read: {detail}")]
    Columns {
        /// What is wrong with them.
        detail: String,
    },
}

impl ModelError {
    /// A file that contradicts itself, in words that go on after its name.
    pub fn corrupt(detail: impl Into<String>) -> Self {
        Self::Corrupt {
            detail: detail.into(),
        }
    }

    /// Stable code for programs and bug reports.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotGguf => "model.not_gguf",
            Self::Version { .. } => "model.version",
            Self::Truncated { .. } => "model.truncated",
            Self::Corrupt { .. } => "model.corrupt",
            Self::Architecture { .. } => "model.architecture",
            Self::TensorType { .. } | Self::SourceType { .. } => "model.tensor_type",
            Self::MissingTensor { .. } => "model.missing_tensor",
            Self::MissingField { .. } => "model.missing_field",
            Self::ChunkHash { .. } => "model.chunk_hash",
            Self::Columns { .. } => "wire.columns",
        }
    }

    /// What a person can do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::NotGguf => "Choose a file that ends in .gguf.",
            Self::Version { .. } => "Convert the model with a current llama.cpp (GGUF version 3).",
            Self::Truncated { .. } | Self::Corrupt { .. } => "Download the model file again.",
            Self::Architecture { .. } => {
                "Choose a model of another family: Llama, Qwen2, Qwen3, Gemma 3, Phi-3, GPT-2, GPT-J, OPT or BLOOM."
            }
            Self::TensorType { .. } => {
                "Choose a version of the model in Q4_K_M, Q5_K_M, Q6_K, Q8_0, Q4_0, F16 or BF16."
            }
            Self::SourceType { .. } => "Choose a version of the model in F32, F16 or BF16.",
            Self::MissingTensor { .. } | Self::MissingField { .. } => {
                "Choose another file: this one does not hold a complete model."
            }
            Self::Columns { .. } => {
                "Reload the page on every phone so that all run the same version."
            }
            Self::ChunkHash { .. } => {
                "Reload the page; if it happens again, restart the server so that it reads the model anew."
            }
        }
    }
}
