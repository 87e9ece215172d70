//! Why the server does not start.

use std::{net::SocketAddr, path::PathBuf};

use model::ModelError;

/// A server that cannot start, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another program listens there.
    #[error("port {} of {} is in use by another program", address.port(), address.ip())]
    PortInUse {
        /// Address asked for.
        address: SocketAddr,
    },
    /// The system gave no such address.
    #[error("cannot listen on {address}: {detail}")]
    Address {
        /// Address asked for.
        address: SocketAddr,
        /// What the system said.
        detail: String,
    },
    /// A certificate or key file that is not there, or no right to read it.
    #[error("cannot read {}: {detail}", file.display())]
    CertificateUnreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// A file with no certificate or key in it.
    #[error("{} holds no certificate or key in PEM form", file.display())]
    CertificateMalformed {
        /// The file.
        file: PathBuf,
    },
    /// A key of another certificate.
    #[error("the key {} does not belong to the certificate {}", key.display(), chain.display())]
    CertificateKey {
        /// The certificate's file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// A certificate that TLS does not take.
    #[error("the certificate cannot be used: {detail}")]
    CertificateRefused {
        /// What TLS said.
        detail: String,
    },
    /// No certificate could be made for this machine.
    #[error("no certificate could be made: {detail}")]
    CertificateNotMade {
        /// Why.
        detail: String,
    },
    /// The certificate that was made could not be written.
    #[error("the certificate cannot be kept in {}: {detail}", folder.display())]
    CertificateNotKept {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// The system did not let us serve.
    #[error("the server cannot run: {detail}")]
    System {
        /// What the system said.
        detail: String,
    },
    /// No such model file, or no right to read it.
    #[error("cannot read the model file {}: {detail}", file.display())]
    ModelUnreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// A model file no phone could run.
    #[error("{}: {error}", file.display())]
    Model {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        error: ModelError,
    },
    /// No such catalogue, or no right to read it.
    #[error("cannot read the catalogue {}: {detail}", file.display())]
    CatalogueUnreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// A file that is no catalogue.
    #[error("{} is no catalogue: {detail}", file.display())]
    CatalogueMalformed {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
}

impl StartError {
    /// Stable code for programs and bug reports.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::PortInUse { .. } => "server.port_in_use",
            Self::Address { .. } => "server.address",
            Self::CertificateUnreadable { .. } => "certificate.unreadable",
            Self::CertificateMalformed { .. } => "certificate.malformed",
            Self::CertificateKey { .. } => "certificate.key",
            Self::CertificateRefused { .. } => "certificate.refused",
            Self::CertificateNotMade { .. } => "certificate.not_made",
            Self::CertificateNotKept { .. } => "certificate.not_kept",
            Self::System { .. } => "server.system",
            Self::ModelUnreadable { .. } => "model.unreadable",
            Self::Model { error, .. } => error.code(),
            Self::CatalogueUnreadable { .. } => "catalogue.unreadable",
            Self::CatalogueMalformed { .. } => "catalogue.malformed",
        }
    }

    /// What a person can do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::PortInUse { .. } => {
                "Stop the other program, or choose another port with --port or --https-port (0 lets the system choose)."
            }
            Self::Address { .. } => {
                "Choose an address of this machine with --host or --https-host, and a free port."
            }
            Self::CertificateUnreadable { .. } => {
                "Check the paths after --cert and --key and the rights of the files."
            }
            Self::CertificateMalformed { .. } => {
                "Give the certificate chain after --cert and its private key after --key, both in PEM form."
            }
            Self::CertificateKey { .. } => "Give the key that was made for this certificate.",
            Self::CertificateRefused { .. } => {
                "Give a certificate for servers, or leave out --cert and --key to have one made."
            }
            Self::CertificateNotMade { .. } | Self::CertificateNotKept { .. } => {
                "Choose a folder that can be written with --certificates, or give --cert and --key."
            }
            Self::System { .. } => "Start the server again; if it happens again, report it.",
            Self::ModelUnreadable { .. } => {
                "Check the path after --model and the rights of the file."
            }
            Self::Model { error, .. } => error.remedy(),
            Self::CatalogueUnreadable { .. } => {
                "Check the path after --catalogue and the rights of the file."
            }
            Self::CatalogueMalformed { .. } => {
                "Write it like signaling-server/catalogue.json, which docs/operators.md explains."
            }
        }
    }
}
