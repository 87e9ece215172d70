//! Bytes of a file that a person chose.

use core::ops::Range;

use js_sys::Uint8Array;
use wasm_bindgen_futures::JsFuture;
use web_sys::Blob;

use crate::error::{BrowserError, words};

/// Bytes `range` of the file.
///
/// # Errors
/// It was changed, moved or taken away since it was chosen.
pub async fn read(file: &Blob, range: Range<u64>) -> Result<Vec<u8>, BrowserError> {
    let bytes = async {
        let part = file.slice_with_f64_and_f64(range.start as f64, range.end as f64)?;
        JsFuture::from(part.array_buffer()).await
    };
    let bytes = bytes.await.map_err(|thrown| BrowserError::FileUnreadable {
        detail: words(&thrown),
    })?;
    Ok(Uint8Array::new(&bytes).to_vec())
}
