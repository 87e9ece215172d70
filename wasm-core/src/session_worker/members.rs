//! The data channels of all members.

use std::collections::BTreeMap;

use plan::MemberId;
use session::Channel;
use wasm_bindgen::JsValue;

use crate::channel::link::{Link, LinkDown, LinkEvent};

/// What a member's channels told.
pub struct FromLink {
    /// Whose.
    pub member: MemberId,
    /// Which of the connections to it: one that took the place of another is not that.
    pub connection: u64,
    /// Which of the two.
    pub channel: Channel,
    /// What.
    pub event: LinkEvent,
}

/// Both channels of each member.
#[derive(Default)]
pub struct Members {
    links: BTreeMap<MemberId, Pair>,
}

struct Pair {
    connection: u64,
    control: Link,
    activation: Link,
    control_open: bool,
    activation_open: bool,
}

impl Members {
    /// Takes over a member's channels, control first; earlier ones are closed. `None` if these are no channels.
    pub fn insert(
        &mut self,
        member: MemberId,
        connection: u64,
        carriers: Vec<JsValue>,
        tell: impl Fn(FromLink) + Clone + 'static,
    ) -> Option<()> {
        let mut carriers = carriers.into_iter();
        let mut link = |channel| {
            let tell = tell.clone();
            Link::new(carriers.next()?, move |event| {
                tell(FromLink {
                    member,
                    connection,
                    channel,
                    event,
                })
            })
        };
        let pair = Pair {
            connection,
            control: link(Channel::Control)?,
            activation: link(Channel::Activation)?,
            control_open: false,
            activation_open: false,
        };
        self.links.insert(member, pair);
        Some(())
    }

    /// Number of the connection to a member that is in use.
    pub fn connection(&self, member: MemberId) -> Option<u64> {
        self.links.get(&member).map(|pair| pair.connection)
    }

    /// Notes that a channel opened; true when it was the second of the two.
    pub fn opened(&mut self, member: MemberId, channel: Channel) -> bool {
        let Some(pair) = self.links.get_mut(&member) else {
            return false;
        };
        match channel {
            Channel::Control => pair.control_open = true,
            Channel::Activation => pair.activation_open = true,
        }
        pair.control_open && pair.activation_open
    }

    /// Sends to a member.
    ///
    /// # Errors
    /// No such member, or its channel takes nothing any more.
    pub fn send(&self, member: MemberId, channel: Channel, bytes: Vec<u8>) -> Result<(), LinkDown> {
        let pair = self.links.get(&member).ok_or(LinkDown)?;
        match channel {
            Channel::Control => pair.control.send(bytes),
            Channel::Activation => pair.activation.send(bytes),
        }
    }

    /// Closes a member's channels; number of the connection, if there was one.
    pub fn remove(&mut self, member: MemberId) -> Option<u64> {
        self.links.remove(&member).map(|pair| pair.connection)
    }
}
