//! The command line.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::Parser;
use signaling_server::{Limits, log, tls::Certificate, web::ModelOrigin};
use tracing::Level;

/// Serves the page, model files, and first contact between phones.
#[derive(Parser)]
#[command(version)]
pub struct Options {
    /// Model files (GGUF)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub model: Vec<PathBuf>,
    /// List of models on other sites (JSON) that pages may start rooms with
    #[arg(long, value_name = "FILE")]
    pub catalogue: Option<PathBuf>,
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
    /// Believe X-Forwarded-For and X-Forwarded-Proto where they come from this machine: a proxy asks for others
    #[arg(long)]
    pub behind_proxy: bool,
    /// Another server from which pages may fetch models, e.g. https://models.example.org
    #[arg(long, value_name = "ORIGIN", num_args = 1..)]
    pub model_origin: Vec<ModelOrigin>,
    /// Stop when standard input ends, as it does when whoever started the server is gone
    #[arg(long)]
    pub stop_with_stdin: bool,
    /// What the log tells: error, warn, info or debug
    #[arg(long, value_name = "LEVEL", default_value_t = Level::INFO)]
    pub log: Level,
    /// How the log looks
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: log::Format,
    /// Connections at a time
    #[arg(long, value_name = "N", default_value_t = Limits::default().connections)]
    connections: usize,
    /// Connections of one address
    #[arg(long, value_name = "N", default_value_t = Limits::default().connections_per_address)]
    connections_per_address: usize,
    /// Rooms at a time
    #[arg(long, value_name = "N", default_value_t = Limits::default().rooms)]
    rooms: usize,
    /// Phones of one address that may wait for messages
    #[arg(long, value_name = "N", default_value_t = Limits::default().streams_per_address)]
    streams_per_address: usize,
    /// Seconds after which a room expires whatever happens in it; its host opens it again
    #[arg(long, value_name = "N", default_value_t = Limits::default().lifetime.as_secs())]
    room_lifetime_s: u64,
    /// Seconds after which a room that nobody uses expires
    #[arg(long, value_name = "N", default_value_t = Limits::default().idle.as_secs())]
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

    /// What the server gives away at most. A proxy's connections are for many others.
    pub fn limits(&self) -> Limits {
        Limits {
            rooms: self.rooms,
            streams_per_address: self.streams_per_address,
            idle: Duration::from_secs(self.room_idle_s),
            lifetime: Duration::from_secs(self.room_lifetime_s),
            connections: self.connections,
            connections_per_address: if self.behind_proxy {
                self.connections
            } else {
                self.connections_per_address
            },
            ..Limits::default()
        }
    }

    /// Rooms and models are served without a page too.
    pub fn notice_missing_page(&self) {
        let index = self.web.join("index.html");
        if !index.is_file() {
            tracing::warn!(file = %index.display(), "there is no page");
        }
    }
}
