//! The `Range` header (RFC 9110, 14): one range of bytes.

use std::ops::Range;

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// Everything; also for whatever a server may ignore: other units, several ranges, nonsense.
    Whole,
    /// These bytes, at least one.
    Part(Range<u64>),
    /// Bytes the file does not have.
    Outside,
}

impl ByteRange {
    /// Of a file of `file_bytes`.
    pub fn parse(header: &str, file_bytes: u64) -> Self {
        let asked = header.strip_prefix("bytes=").and_then(bounds);
        let range = match asked {
            None => return Self::Whole,
            Some((Some(first), last)) => {
                first..last.map_or(file_bytes, |last| last.saturating_add(1).min(file_bytes))
            }
            Some((None, last_bytes)) => {
                file_bytes.saturating_sub(last_bytes.unwrap_or(0))..file_bytes
            }
        };
        if range.is_empty() {
            Self::Outside
        } else {
            Self::Part(range)
        }
    }
}

/// `a-b`, `a-` and `-b`, with a <= b.
fn bounds(range: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (first, last) = range.trim().split_once('-')?;
    let (first, last) = (bound(first)?, bound(last)?);
    match (first, last) {
        (None, None) => None,
        (Some(first), Some(last)) if first > last => None,
        bounds => Some(bounds),
    }
}

/// Absent, or digits only: `+1` is none.
fn bound(digits: &str) -> Option<Option<u64>> {
    if digits.is_empty() {
        return Some(None);
    }
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        let parse = |header| ByteRange::parse(header, 100);
        assert_eq!(parse("bytes=0-0"), ByteRange::Part(0..1));
        assert_eq!(parse("bytes=10-19"), ByteRange::Part(10..20));
        assert_eq!(parse("bytes=90-"), ByteRange::Part(90..100));
        assert_eq!(parse("bytes=90-500"), ByteRange::Part(90..100));
        assert_eq!(parse("bytes=-10"), ByteRange::Part(90..100));
        assert_eq!(parse("bytes=-500"), ByteRange::Part(0..100));
        for outside in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            assert_eq!(parse(outside), ByteRange::Outside, "{outside}");
        }
        for ignored in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-4",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes=99999999999999999999-",
        ] {
            assert_eq!(parse(ignored), ByteRange::Whole, "{ignored}");
        }
        assert_eq!(ByteRange::parse("bytes=0-", 0), ByteRange::Outside);
    }
}
