//! Memory asked for, not taken for granted.

use crate::EngineError;

/// A vector of defaults, or a typed error where the page has no memory for it.
pub(crate) fn zeroed<T: Clone + Default>(len: usize) -> Result<Vec<T>, EngineError> {
    let mut vector = Vec::new();
    let bytes = len as u64 * size_of::<T>() as u64;
    vector
        .try_reserve_exact(len)
        .map_err(|_| EngineError::OutOfMemory { bytes })?;
    vector.resize(len, T::default());
    Ok(vector)
}
