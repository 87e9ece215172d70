//! Randomness of the operating system, in pages and workers alike.

use crate::error::BrowserError;

/// Bytes nobody can guess.
///
/// # Errors
/// The browser has none.
pub fn bytes<const N: usize>() -> Result<[u8; N], BrowserError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| BrowserError::Browser {
        detail: error.to_string(),
    })?;
    Ok(bytes)
}
