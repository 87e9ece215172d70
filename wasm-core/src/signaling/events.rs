//! Server-sent events out of bytes, as they arrive in pieces. `EventSource` would do this, but it puts a seat's key into the address,
//! and it gives up for good at the first refusal.

/// A message has 64 KiB; escaped in JSON, and with its envelope, it is shorter than this.
const MAX_LINE_BYTES: usize = 512 << 10;

/// An event with something in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number, to be named when listening again.
    pub number: Option<u64>,
    /// What it says.
    pub data: String,
}

/// No server of ours writes such a line.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

/// What has arrived and is no whole event yet.
#[derive(Default)]
pub struct Events {
    line: Vec<u8>,
    number: Option<u64>,
    data: String,
}

impl Events {
    /// Takes a piece; returns the events that it completes.
    pub fn take(&mut self, piece: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() + self.data.len() > MAX_LINE_BYTES {
                return Err(TooLong);
            }
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                events.extend(self.end_line(&line));
            }
        }
        Ok(events)
    }

    fn end_line(&mut self, line: &[u8]) -> Option<Event> {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            let number = self.number.take();
            let data = std::mem::take(&mut self.data);
            return (!data.is_empty()).then_some(Event { number, data });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.number = value.parse().ok(),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            // Comments, and fields that our server does not use.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn event(number: u64, data: &str) -> Event {
        Event {
            number: Some(number),
            data: data.to_owned(),
        }
    }

    #[wasm_bindgen_test]
    fn events_arrive_whole_however_they_are_cut() {
        let text = ": hello\n\nid: 1\ndata: {\"a\":\"\u{1f984}\"}\n\n:\n\nid: 2\r\ndata:b\r\ndata: c\r\n\r\n";
        for size in 1..text.len() {
            let mut events = Events::default();
            let pieces = text.as_bytes().chunks(size);
            let whole: Vec<_> = pieces
                .flat_map(|piece| events.take(piece).unwrap())
                .collect();
            assert_eq!(
                whole,
                [event(1, "{\"a\":\"\u{1f984}\"}"), event(2, "b\nc")],
                "{size}"
            );
        }
    }

    #[wasm_bindgen_test]
    fn lines_of_any_length_are_not_kept() {
        let mut events = Events::default();
        let piece = [b'a'; 64 << 10];
        let taken = (0..9).map(|_| events.take(&piece)).find(Result::is_err);
        assert_eq!(taken, Some(Err(TooLong)));
    }
}
