//! Malicious introductions: whoever carried offer and answer sits between two phones, with a certificate of its own on both sides.

use door::{
    Credentials, Fingerprint, Fingerprints, HOST_RANDOM_BYTES, Handshake, HostKeys, Invitation,
};
use plan::MemberId;
use proto::{Control, Handshake as Words};
use session::Channel;

use crate::room::Message;

/// What it does with what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// Passes everything on.
    Relay,
    /// Passes everything on, proofs with the certificates that their receiver sees.
    Rewrite,
    /// Speaks for each end to the other, with keys of its own.
    Pose,
    /// Gives each end its own words back.
    Reflect,
    /// Says that it is convinced, and begins to talk.
    Barge,
}

impl Attack {
    /// All there are.
    pub const ALL: [Self; 5] = [
        Self::Relay,
        Self::Rewrite,
        Self::Pose,
        Self::Reflect,
        Self::Barge,
    ];
}

/// Sits on every connection that opens while it is there. It knows no secret.
pub struct Interceptor {
    /// What it does.
    pub attack: Attack,
    /// What phones said while it listened.
    pub heard: Vec<Message>,
    certificate_of: fn(MemberId) -> Fingerprint,
}

impl Interceptor {
    /// `certificate_of` are the certificates of the phones.
    pub const fn new(attack: Attack, certificate_of: fn(MemberId) -> Fingerprint) -> Self {
        Self {
            attack,
            heard: Vec::new(),
            certificate_of,
        }
    }

    /// What both ends see in place of each other's.
    pub fn certificate() -> Fingerprint {
        Fingerprint::of_certificate(b"interceptor")
    }

    /// What arrives in place of a message.
    pub fn pass(&mut self, message: Message) -> Vec<Message> {
        self.heard.push(message.clone());
        match self.attack {
            Attack::Relay => vec![message],
            Attack::Rewrite => vec![self.rewrite(message)],
            Attack::Pose => self.pose(&message),
            Attack::Reflect => vec![answer(&message, message.bytes.clone())],
            Attack::Barge => {
                let convinced = Words::Accepted.encode().unwrap();
                let hello = Control::Hello {
                    name: "interceptor".to_owned(),
                    client: None,
                    budget_bytes: 1 << 30,
                    metered: false,
                };
                let talk = hello.encode().unwrap();
                let mut words = vec![message.clone()];
                words.extend([convinced, talk].map(|bytes| Message {
                    bytes,
                    ..message.clone()
                }));
                words.push(Message {
                    channel: Channel::Activation,
                    ..message
                });
                words
            }
        }
    }

    /// A proof of what its receiver sees, with the evidence of what its sender saw.
    fn rewrite(&self, message: Message) -> Message {
        let Ok(Words::Proof(mut proof)) = Words::decode(&message.bytes) else {
            return message;
        };
        for end in &mut proof.statement.ends {
            end.fingerprint = if end.member == message.to {
                (self.certificate_of)(end.member).0
            } else {
                Self::certificate().0
            };
        }
        let bytes = Words::Proof(proof).encode().unwrap();
        Message { bytes, ..message }
    }

    /// Greets and proves, once it is greeted, in the name of whom the words were for.
    fn pose(&self, message: &Message) -> Vec<Message> {
        let keys = HostKeys::new(&[66; HOST_RANDOM_BYTES]);
        let credentials = match message.to {
            MemberId::HOST => Credentials::Host(keys),
            _ => Invitation::new("simulated", &keys).credentials(),
        };
        let fingerprints = Fingerprints {
            mine: Self::certificate(),
            theirs: (self.certificate_of)(message.from),
        };
        let (me, other) = (message.to, message.from);
        let (mut handshake, greeting) =
            Handshake::new(credentials, me, other, fingerprints, [66; 32]).unwrap();
        let Ok(step) = handshake.receive(&message.bytes) else {
            return Vec::new();
        };
        let words = std::iter::once(greeting).chain(step.send);
        words.map(|bytes| answer(message, bytes)).collect()
    }
}

fn answer(message: &Message, bytes: Vec<u8>) -> Message {
    Message {
        from: message.to,
        to: message.from,
        channel: message.channel,
        bytes,
    }
}
