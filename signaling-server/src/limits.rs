//! What the server gives away at most. Rooms x bytes waiting in each, plus connections x buffer of each, bound its memory.

use std::time::Duration;

/// Limits of rooms, visitors and connections.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Rooms at a time.
    pub rooms: usize,
    /// Rooms that one address started.
    pub rooms_per_address: usize,
    /// Seats of a room, the host's included.
    pub seats: usize,
    /// Bytes of one message.
    pub message_bytes: usize,
    /// Messages from one seat, and rooms and seats asked for from one address, in a second.
    pub messages_per_s: u32,
    /// Messages that wait for one seat.
    pub queued_messages: usize,
    /// Bytes that wait in one room.
    pub queued_bytes: usize,
    /// Streams of messages to one address.
    pub streams_per_address: usize,
    /// Addresses that are remembered for the limits above.
    pub addresses: usize,
    /// A room in which nobody listens and nothing happens for so long expires.
    pub idle: Duration,
    /// A room expires after so long whatever happens in it; its host may open it again.
    pub lifetime: Duration,
    /// For so long after its start the server waits for hosts to open their rooms again, before it calls a room unknown.
    pub homecoming: Duration,
    /// A guest's seat that nobody uses for so long is given to another guest when the room is full.
    pub seat_idle: Duration,
    /// Connections at a time.
    pub connections: usize,
    /// Connections of one address.
    pub connections_per_address: usize,
    /// A TLS handshake or a request's head takes no longer, nor does a connection wait longer for its next request.
    pub head: Duration,
    /// A request's body takes no longer.
    pub body: Duration,
    /// A reader that takes nothing for so long is gone.
    pub stalled: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rooms: 512,
            rooms_per_address: 64,
            seats: 32,
            message_bytes: 64 << 10,
            messages_per_s: 20,
            queued_messages: 64,
            queued_bytes: 1 << 20,
            streams_per_address: 20,
            addresses: 4096,
            idle: Duration::from_secs(3600),
            lifetime: Duration::from_secs(24 * 3600),
            homecoming: Duration::from_secs(10),
            seat_idle: Duration::from_secs(120),
            connections: 2048,
            connections_per_address: 512,
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            stalled: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// Longest body of a request: in JSON, a message of line ends and quotes is twice as long.
    pub const fn body_bytes(&self) -> usize {
        self.message_bytes * 2 + 1024
    }
}
