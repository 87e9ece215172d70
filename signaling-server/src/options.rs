//! The command line.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use clap::Parser;
use signaling_server::rooms::Limits;

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
    /// Address to listen on; 0.0.0.0 lets other machines in
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub host: IpAddr,
    /// Port to listen on; 0 lets the system choose
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Seconds after which a room that nobody uses expires
    #[arg(long, value_name = "N", default_value_t = 3600)]
    pub room_idle_s: u64,
}

impl Options {
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
