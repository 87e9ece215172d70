//! `signaling-server --model FILE...`

use std::{io::ErrorKind, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use signaling_server::{ServerError, app, models::Models};
use tokio::net::TcpListener;

/// Serves the page, introduces phones to each other, and serves model files.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Model file (GGUF); may be given several times.
    #[arg(long, required = true, num_args = 1..)]
    model: Vec<PathBuf>,
    /// Folder of the built page.
    #[arg(long, default_value = "dist/web")]
    web: PathBuf,
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Rooms end after being idle for so many seconds.
    #[arg(long, default_value_t = 3600)]
    room_idle_s: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error[{}]: {error}\n  {}", error.code(), error.remedy());
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: Options) -> Result<(), ServerError> {
    let mut models = Models::default();
    for path in &options.model {
        eprintln!("reading {}", path.display());
        models.add(path)?;
    }
    let Options { host, port, .. } = options;
    let refused = |error: std::io::Error| match error.kind() {
        ErrorKind::AddrInUse => ServerError::PortInUse { port },
        _ => ServerError::Listen {
            address: format!("{host}:{port}"),
            error,
        },
    };
    let listener = TcpListener::bind((host.as_str(), port))
        .await
        .map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    println!("listening on http://{address}");
    let room_idle = Duration::from_secs(options.room_idle_s);
    axum::serve(listener, app::router(models, &options.web, room_idle))
        .with_graceful_shutdown(async {
            // Without a signal handler the server runs until it is ended.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .await
        .map_err(refused)
}
