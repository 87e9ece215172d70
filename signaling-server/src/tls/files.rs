//! Certificate and key from PEM files.

use std::path::Path;

use tokio_rustls::rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{Error as PemError, PemObject},
};

use super::{Pair, belong_together};
use crate::error::StartError;

/// A chain and its key.
///
/// # Errors
/// `certificate.unreadable`, `certificate.malformed`, `certificate.key`.
pub fn read(chain: &Path, key: &Path) -> Result<Pair, StartError> {
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| refused(chain, &error))?;
    if certificates.is_empty() {
        return Err(refused(chain, &PemError::NoItemsFound));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| refused(key, &error))?;
    let pair = (certificates, private);
    if !belong_together(&pair) {
        return Err(StartError::CertificateKey {
            chain: chain.to_owned(),
            key: key.to_owned(),
        });
    }
    Ok(pair)
}

fn refused(file: &Path, error: &PemError) -> StartError {
    let file = file.to_owned();
    match error {
        PemError::Io(error) => StartError::CertificateUnreadable {
            file,
            detail: error.to_string(),
        },
        _ => StartError::CertificateMalformed { file },
    }
}
