//! Fingerprints of DTLS certificates: what ties a proof to one connection.

use data_encoding::HEXUPPER_PERMISSIVE;
use sha2::{Digest, Sha256};

use crate::error::DoorError;

/// SHA-256 of a certificate (RFC 8122).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// Of the certificates of both ends, as one of them sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprints {
    /// Of this end's certificate.
    pub mine: Fingerprint,
    /// Of the certificate that the other end used in the DTLS handshake.
    pub theirs: Fingerprint,
}

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of_certificate(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// Of a session description: the browser accepts no other certificate than one it names, so it must name exactly one.
    ///
    /// # Errors
    /// None, several, or another hash.
    pub fn of_sdp(sdp: &str) -> Result<Self, DoorError> {
        let mut named = sdp
            .lines()
            .filter_map(|line| line.trim_end().strip_prefix("a=fingerprint:"));
        let (Some(only), None) = (named.next(), named.next()) else {
            return Err(DoorError::NoCertificate);
        };
        let (hash, hex) = only.split_once(' ').ok_or(DoorError::NoCertificate)?;
        if !hash.eq_ignore_ascii_case("sha-256") {
            return Err(DoorError::NoCertificate);
        }
        let hex: String = hex.split(':').collect();
        let bytes = HEXUPPER_PERMISSIVE.decode(hex.as_bytes());
        let bytes = bytes.ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(DoorError::NoCertificate)
    }

    /// Of the other end: the certificate it used, where the browser shows it (`certificates`, DER, first its own), or what its
    /// description named.
    ///
    /// # Errors
    /// Neither, or they contradict each other.
    pub fn of_other_end(certificates: &[Vec<u8>], sdp: &str) -> Result<Self, DoorError> {
        let named = Self::of_sdp(sdp)?;
        match certificates.first() {
            Some(der) if Self::of_certificate(der) != named => Err(DoorError::NoCertificate),
            _ => Ok(named),
        }
    }
}
