//! HTTPS: a certificate of one's own, or one made for this machine.

mod files;
mod made;

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer},
        sign::CertifiedKey,
        version::TLS13,
    },
};

use crate::{error::StartError, machine::Machine};

/// Where the certificate comes from.
#[derive(Debug, Clone)]
pub enum Certificate {
    /// Files in PEM: the chain, and the private key of its first.
    Own {
        /// The chain.
        chain: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// Made for this machine and kept in this folder; browsers warn about it.
    Made(PathBuf),
}

/// A chain and the private key of its first.
type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Reads the certificate, or makes it. Blocks for file access.
///
/// # Errors
/// `certificate.*`
pub fn acceptor(certificate: &Certificate, machine: &Machine) -> Result<TlsAcceptor, StartError> {
    let (chain, key) = match certificate {
        Certificate::Own { chain, key } => files::read(chain, key)?,
        Certificate::Made(folder) => {
            made::kept_or_made(folder, &machine.names(), SystemTime::now())?
        }
    };
    // Every browser that knows WebGPU or data channels in workers knows TLS 1.3.
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|error| StartError::CertificateRefused {
        detail: error.to_string(),
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Whether the key is that of the first certificate.
fn belong_together((chain, key): &Pair) -> bool {
    let key = ring::default_provider()
        .key_provider
        .load_private_key(key.clone_key());
    key.is_ok_and(|key| CertifiedKey::new(chain.clone(), key).keys_match().is_ok())
}
