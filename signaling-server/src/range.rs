//! One byte range of a `Range` header (RFC 9110, section 14).

use core::ops::Range;

/// `bytes=a-b`, `bytes=a-` or `bytes=-n` of a file of `size` bytes; `None` where no byte of the file is meant.
pub fn parse(header: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first.trim(), last.trim()) {
        ("", count) => size.saturating_sub(count.parse().ok()?)..size,
        (first, "") => first.parse().ok()?..size,
        (first, last) => first.parse().ok()?..last.parse::<u64>().ok()?.checked_add(1)?.min(size),
    };
    (range.start < range.end).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        assert_eq!(parse("bytes=0-0", 10), Some(0..1));
        assert_eq!(parse("bytes=2-5", 10), Some(2..6));
        assert_eq!(parse("bytes=8-99", 10), Some(8..10));
        assert_eq!(parse("bytes=7-", 10), Some(7..10));
        assert_eq!(parse("bytes=-3", 10), Some(7..10));
        for wrong in [
            "bytes=10-",
            "bytes=5-4",
            "bytes=-0",
            "bytes=a-b",
            "bits=0-1",
            "",
            "bytes=0-1,3-4",
        ] {
            assert_eq!(parse(wrong, 10), None, "{wrong}");
        }
    }
}
