//! Who asked a question.

use plan::MemberId;

/// A question of somebody's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asker {
    /// Whose page.
    pub member: MemberId,
    /// The page's number for it.
    pub question: u32,
}

impl Asker {
    /// A question of the host's own page.
    pub const fn host(question: u32) -> Self {
        Self {
            member: MemberId::HOST,
            question,
        }
    }
}
