//! Questions of this page: they are sent to the host, which answers as it writes.

use proto::control::MAX_QUESTION_BYTES;
use proto::{Control, Fault, Summary};

use super::Peer;
use crate::error::SessionError;
use crate::seam::Event;

impl Peer {
    pub(super) fn ask(&mut self, question: u32, payload: String) {
        let asked = match payload.len() {
            bytes if bytes > MAX_QUESTION_BYTES => Err(SessionError::QuestionTooLong {
                bytes,
                most: MAX_QUESTION_BYTES,
            }),
            _ if self.room.is_none() => Err(SessionError::NotReady),
            _ => Ok(()),
        };
        match asked {
            Ok(()) => {
                self.asked.insert(question, self.now_ms);
                self.tell_host(&Control::Ask { question, payload });
            }
            Err(error) => self.refused(question, error.into()),
        }
    }

    pub(super) fn stop(&mut self, question: u32) {
        if self.asked.contains_key(&question) {
            self.tell_host(&Control::StopAnswer { question });
        }
    }

    /// Text of a question that ended here goes nowhere.
    pub(super) fn on_said(&mut self, question: u32, id: u32, text: String) {
        if let Some(asked_ms) = self.asked.get(&question) {
            let at_ms = self.now_ms.saturating_sub(*asked_ms) as f64;
            self.outbox.event(Event::Token {
                question,
                id,
                text,
                at_ms,
            });
        }
    }

    pub(super) fn on_answered(&mut self, question: u32, rest: String, summary: Summary) {
        if self.asked.remove(&question).is_some() {
            self.outbox.event(Event::finished(question, rest, summary));
        }
    }

    pub(super) fn on_refused(&mut self, question: u32, fault: Fault) {
        if self.asked.remove(&question).is_some() {
            self.refused(question, fault);
        }
    }

    /// The host is gone, and with it what was asked.
    pub(super) fn refuse_all(&mut self) {
        for question in core::mem::take(&mut self.asked).into_keys() {
            self.refused(question, SessionError::HostLost.into());
        }
    }

    fn refused(&mut self, question: u32, fault: Fault) {
        self.outbox.event(Event::Refused { question, fault });
    }
}
