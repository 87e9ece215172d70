//! The command line.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::Parser;
use signaling_server::{rooms::Limits, tls::Certificate};

/// Serves the page, model files, and first contact between phones.
#[derive(Parser)]
#[command(version)]
pub struct Options {
    /// Model files (GGUF)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub model: Vec<PathBuf>,
    /// Folder of the built page
    #[arg(long, value_name = "DIR", default_value = "dist/web")]
    pub web: PathBuf,
    /// Address to listen on without encryption; 0.0.0.0 lets other machines in
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Port to listen on without encryption; 0 lets the system choose
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Also listen here with https, which phones need; 0 lets the system choose
    #[arg(long, value_name = "PORT")]
    https_port: Option<u16>,
    /// Address to listen on with https
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    https_host: IpAddr,
    /// Certificate chain (PEM) for https; one is made for this machine unless given
    #[arg(long, value_name = "FILE", requires = "key", requires = "https_port")]
    cert: Option<PathBuf>,
    /// Private key (PEM) of the certificate
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Folder in which the made certificate is kept
    #[arg(long, value_name = "DIR", default_value = "certificates")]
    certificates: PathBuf,
    /// Seconds after which a room that nobody uses expires
    #[arg(long, value_name = "N", default_value_t = 3600)]
    room_idle_s: u64,
}

impl Options {
    /// Where to listen without encryption.
    pub const fn plain_address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }

    /// Where to listen with https, if at all.
    pub fn https_address(&self) -> Option<SocketAddr> {
        self.https_port
            .map(|port| SocketAddr::new(self.https_host, port))
    }

    /// The certificate for https.
    pub fn certificate(&self) -> Certificate {
        match (&self.cert, &self.key) {
            (Some(chain), Some(key)) => Certificate::Own {
                chain: chain.clone(),
                key: key.clone(),
            },
            _ => Certificate::Made(self.certificates.clone()),
        }
    }

    /// What rooms may cost.
    pub fn limits(&self) -> Limits {
        Limits {
            idle: Duration::from_secs(self.room_idle_s),
            ..Limits::default()
        }
    }

    /// Rooms and models are served without a page too.
    pub fn notice_missing_page(&self) {
        let index = self.web.join("index.html");
        if !index.is_file() {
            eprintln!("notice: there is no page at {}", index.display());
        }
    }
}
