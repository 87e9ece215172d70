//! What weights of a repository become, as a person says it.

use clap::ValueEnum;
use model::hugging_face::Target;

/// A storage type.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[allow(non_camel_case_types, reason = "as people write them")]
pub enum Quantise {
    /// As they are.
    Keep,
    /// 8 bits.
    #[value(name = "q8_0")]
    Q8_0,
    /// 4 bits.
    #[value(name = "q4_0")]
    Q4_0,
}

impl From<Quantise> for Target {
    fn from(quantise: Quantise) -> Self {
        match quantise {
            Quantise::Keep => Self::Keep,
            Quantise::Q8_0 => Self::Q8_0,
            Quantise::Q4_0 => Self::Q4_0,
        }
    }
}
