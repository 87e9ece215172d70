//! What a session wants done, in order.

use std::collections::VecDeque;

use plan::MemberId;
use proto::{Control, Fault, FrameHeader, frame};

use crate::error::SessionError;
use crate::seam::{Channel, Event, Job, JobId, Output};

/// Outputs not yet taken by the driver.
#[derive(Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Output>,
    jobs: u64,
}

impl Outbox {
    pub fn pop(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    pub fn push(&mut self, output: Output) {
        self.queue.push_back(output);
    }

    pub fn event(&mut self, event: Event) {
        self.push(Output::Event(event));
    }

    /// Tells the page of something this page can go on after.
    pub fn fail(&mut self, fault: impl Into<Fault>) {
        self.event(Event::Failed {
            fault: fault.into(),
            fatal: false,
        });
    }

    /// Tells the page that the session is over.
    pub fn fail_for_good(&mut self, fault: impl Into<Fault>) {
        self.event(Event::Failed {
            fault: fault.into(),
            fatal: true,
        });
    }

    pub fn compute(&mut self, work: Job) -> JobId {
        self.jobs += 1;
        let job = JobId(self.jobs);
        self.push(Output::Compute { job, work });
        job
    }

    /// A message too long to be sent is told to the page.
    pub fn control(&mut self, to: MemberId, message: &Control) {
        match message.encode() {
            Ok(bytes) => self.push(Output::Send {
                to,
                channel: Channel::Control,
                bytes,
            }),
            Err(error) => self.fail(SessionError::from(error)),
        }
    }

    /// Sends a frame to `to`: the next member, or the host that relays it.
    pub fn frame(
        &mut self,
        to: MemberId,
        header: &FrameHeader,
        body: &[u8],
    ) -> Result<(), SessionError> {
        for bytes in frame::slices(header, body)? {
            self.push(Output::Send {
                to,
                channel: Channel::Activation,
                bytes,
            });
        }
        Ok(())
    }
}
