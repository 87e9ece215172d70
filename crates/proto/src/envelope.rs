//! What messages of the control channel share: the protocol number first, then postcard, and nothing after it.

use serde::{Serialize, de::DeserializeOwned};

use crate::error::ProtoError;

/// Number of this protocol, the first byte of every message on the control channel; other numbers are refused.
pub const PROTOCOL: u8 = 7;

pub(crate) fn seal(message: &impl Serialize, most: usize) -> Result<Vec<u8>, ProtoError> {
    let bytes = postcard::to_extend(message, vec![PROTOCOL]).map_err(|_| ProtoError::Control)?;
    within(&bytes, most)?;
    Ok(bytes)
}

pub(crate) fn open<T: DeserializeOwned>(bytes: &[u8], most: usize) -> Result<T, ProtoError> {
    within(bytes, most)?;
    let (&theirs, body) = bytes.split_first().ok_or(ProtoError::Control)?;
    if theirs != PROTOCOL {
        return Err(ProtoError::Version {
            theirs,
            ours: PROTOCOL,
        });
    }
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Ok(message),
        _ => Err(ProtoError::Control),
    }
}

fn within(bytes: &[u8], most: usize) -> Result<(), ProtoError> {
    if bytes.len() > most {
        return Err(ProtoError::TooLong {
            bytes: bytes.len() as u64,
            most: most as u64,
        });
    }
    Ok(())
}
