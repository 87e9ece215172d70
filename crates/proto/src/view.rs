//! What members tell each other as they also show it.

use model::{EngineKind, UnitRange};
use plan::{EngineProfile, MemberId};
use serde::{Deserialize, Serialize};

/// An error as it is shown and sent: stable code, plain sentence, remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Stable code, `area.kind`.
    pub code: String,
    /// What happened, in a sentence.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// A model file, and the manifest of its chunks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelReference {
    /// Name that changes with the bytes.
    pub id: String,
    /// Where the file is: a path of this server, or an https address. `None`: phones of the room have it, and nobody else.
    pub file: Option<String>,
    /// Where its chunk manifest is: a path of this server. `None`: phones of the room have it.
    pub manifest: Option<String>,
}

/// What a page may show of one member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberView {
    /// Who.
    pub member: MemberId,
    /// Name it chose.
    pub name: String,
    /// Executor in use once planned.
    pub engine: Option<EngineKind>,
    /// Executors measured on it: (kind, ms for one token through all blocks of the model).
    pub measured: Vec<EngineProfile>,
    /// Bytes it may hold.
    pub budget_bytes: u64,
    /// Unit ranges of the plan in force.
    pub units: Vec<UnitRange>,
    /// Mean compute ms per generated token of the last answer.
    pub ms_per_token: Option<f64>,
    /// Its page is behind others, where its browser may stop it.
    pub hidden: bool,
    /// It is low on battery, and not charging.
    pub low_battery: bool,
    /// Round trip to the host.
    pub rtt_ms: Option<f64>,
    /// Weight bytes loaded of weight bytes assigned.
    pub loaded_bytes: u64,
    /// Weight bytes assigned.
    pub assigned_bytes: u64,
    /// Weight bytes that came from the network.
    pub fetched_bytes: u64,
    /// Weight bytes that came from other phones of the room.
    pub from_room_bytes: u64,
    /// Phones that were asked for weights and did not give what they said they have.
    pub failed_sources: u32,
}

/// How far a phone has come with loading its segment; of the bytes done, those that are in no other figure were in its own storage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Weight bytes in the engine.
    pub bytes_done: u64,
    /// Weight bytes in all.
    pub bytes_total: u64,
    /// Of `bytes_done`, from the network.
    pub bytes_fetched: u64,
    /// Of `bytes_done`, from other phones of the room.
    pub bytes_from_room: u64,
    /// Phones that were asked and did not give what they said they have.
    pub failed_sources: u32,
}
