//! Why there is no plan, or why a plan is refused.

use model::EngineKind;

use crate::profile::MemberId;

const BYTES_PER_MIB: u64 = 1 << 20;

/// A problem without a plan, or a plan that breaks its problem's rules.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// The phones present cannot hold the model.
    #[error(
        "the phones in this room are {} MiB short of holding the model: it needs {} MiB, they offer {} MiB",
        mib_up(*short_bytes), mib_up(*needed_bytes), offered_bytes / BYTES_PER_MIB
    )]
    Capacity {
        /// What one more phone must offer beyond its scratch memory for a plan to exist.
        short_bytes: u64,
        /// Weights and KV of all units.
        needed_bytes: u64,
        /// Budgets of the phones that can compute, less the scratch memory of each.
        offered_bytes: u64,
    },
    /// The host cannot hold the units that must stay with it; no other phone can help.
    #[error(
        "the phone that started the room is {} MiB short: it must hold the first and the last part of the model, {} MiB, and offers {} MiB",
        mib_up(*short_bytes), mib_up(*needed_bytes), offered_bytes / BYTES_PER_MIB
    )]
    HostCapacity {
        /// `needed_bytes` less `offered_bytes`.
        short_bytes: u64,
        /// Weights and KV of embedding and head, and scratch memory.
        needed_bytes: u64,
        /// The host's budget.
        offered_bytes: u64,
    },
    /// No phone of the problem is the host.
    #[error("the host is not among the phones to plan for")]
    NoHost,
    /// The host has no measured executor.
    #[error(
        "the phone that started the room cannot run the model: no engine could be measured on it"
    )]
    HostCannotRun,
    /// A phone was told to use an executor that was not measured on it.
    #[error("phone {} cannot use the {} engine: it was not measured there", member.0, engine_name(*engine))]
    NotMeasured {
        /// Which phone.
        member: MemberId,
        /// Executor asked for.
        engine: EngineKind,
    },
    /// Two phones of the problem cannot reach each other.
    #[error("no connection between phone {} and the host was measured", member.0)]
    NoHop {
        /// Which phone.
        member: MemberId,
    },
    /// Numbers no measurement gives: NaN, negative, absurdly large, missing.
    #[error("the measurements cannot be used: {detail}")]
    Numbers {
        /// Which number, in words.
        detail: String,
    },
    /// Units that are not embedding, blocks, head.
    #[error("the model cannot be placed: {detail}")]
    Units {
        /// What is wrong, in words.
        detail: String,
    },
    /// More phones than a room takes.
    #[error("{phones} phones are too many for one room: {most} at most")]
    TooManyPhones {
        /// Phones in the problem.
        phones: usize,
        /// Limit.
        most: usize,
    },
    /// A plan that breaks a rule.
    #[error("the plan is not valid: {detail}")]
    Invalid {
        /// Which rule, in words.
        detail: String,
    },
}

impl PlanError {
    /// Stable code for programs and bug reports.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Capacity { .. } | Self::HostCapacity { .. } => "capacity",
            Self::NoHost => "plan.no_host",
            Self::HostCannotRun => "plan.host_cannot_run",
            Self::NotMeasured { .. } => "plan.not_measured",
            Self::NoHop { .. } => "plan.no_hop",
            Self::Numbers { .. } => "plan.numbers",
            Self::Units { .. } => "plan.units",
            Self::TooManyPhones { .. } => "plan.too_many_phones",
            Self::Invalid { .. } => "plan.invalid",
        }
    }

    /// What a person can do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Capacity { .. } => {
                "Invite one more phone with that much free memory, raise the budgets, or choose a smaller model."
            }
            Self::HostCapacity { .. } => {
                "Start the room on a phone with more memory, raise this phone's budget, or choose a smaller model."
            }
            Self::HostCannotRun => "Start the room on another phone or in another browser.",
            Self::NotMeasured { .. } => {
                "Choose the other engine, or let the phone choose by itself."
            }
            Self::NoHop { .. } => "Let that phone leave and join again.",
            Self::Numbers { .. } => "Let the phones join again so that they are measured anew.",
            Self::Units { .. } => "Choose another model file.",
            Self::TooManyPhones { .. } => "Start a second room for the other phones.",
            Self::NoHost | Self::Invalid { .. } => {
                "Reload the page on every phone; if it happens again, report it."
            }
        }
    }
}

/// Rounded up: a shortage of one byte is not "0 MiB".
const fn mib_up(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_MIB)
}

const fn engine_name(engine: EngineKind) -> &'static str {
    match engine {
        EngineKind::Cpu => "CPU",
        EngineKind::Gpu => "GPU",
    }
}
