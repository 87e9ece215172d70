//! The host's page is loaded again: its session and everything in memory is gone, what it kept is not.

use plan::MemberId;
use session::{Asker, Command, Event, Host, Kept};

use crate::{
    Room,
    phone::{Machine, Phone},
    room::{Greedy, host_config},
};

use door::Credentials;

/// An answer that was being written when the page was loaded again.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Number of its question.
    pub question: u32,
    /// Its prompt.
    pub prompt_ids: Vec<u32>,
    /// Tokens that were shown.
    pub written_ids: Vec<u32>,
    /// Tokens it may have.
    pub max_tokens: u32,
}

impl Room {
    /// The host's page is loaded again and comes back after `away_ms`, to go on with its own answers.
    pub fn reload_host(&mut self, away_ms: u64, begun: Vec<Begun>) {
        let kept = self.host().kept();
        self.reload_host_with(kept, away_ms, begun);
    }

    /// The same, with what it kept some time before.
    pub fn reload_host_with(&mut self, kept: Kept, away_ms: u64, begun: Vec<Begun>) {
        let Phone {
            client,
            budget_bytes,
            storage,
            ..
        } = self.take_away(MemberId::HOST);
        self.run(away_ms);
        let config = host_config(self.model.graph(), self.class, budget_bytes);
        let host = Host::new(config).unwrap();
        let machine = Machine::host(host, Credentials::Host(self.keys.clone()));
        self.add_phone(MemberId::HOST, machine, budget_bytes, storage, client);
        self.command(MemberId::HOST, Command::Resume(kept));
        for begun in begun {
            let again = Command::Generate {
                asker: Asker::host(begun.question),
                prompt_ids: begun.prompt_ids,
                written_ids: begun.written_ids,
                max_tokens: begun.max_tokens,
                stop_ids: Vec::new(),
                writer: Box::new(Greedy),
            };
            self.command(MemberId::HOST, again);
        }
    }

    /// Tokens that an answer had when the host's page came back.
    pub fn resumed_ids(&self, of: u32) -> Option<Vec<u32>> {
        self.events(MemberId::HOST).find_map(|event| match event {
            Event::Resumed { question, ids, .. } if *question == of => Some(ids.clone()),
            _ => None,
        })
    }
}
