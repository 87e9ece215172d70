//! `signaling-server`: see `--help`.

mod options;

use std::{future::Future, io::Write, net::SocketAddr, process::ExitCode, sync::Arc};

use clap::Parser;
use options::Options;
use signaling_server::{
    StartError,
    api::App,
    clock::SystemClock,
    models::{Shelf, Traffic},
    rooms::Rooms,
    serve,
};

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error[{}]: {error}\n  {}", error.code(), error.remedy());
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), StartError> {
    let listener = serve::bind(SocketAddr::new(options.host, options.port)).await?;
    let stop = told_to_stop()?;
    options.notice_missing_page();
    let files = options.model.clone();
    let shelf =
        tokio::task::spawn_blocking(move || Shelf::read(&files, |line| eprintln!("{line}")));
    let shelf = shelf.await.map_err(|error| system(&error))??;
    let rooms = Arc::new(Rooms::new(options.limits(), Arc::new(SystemClock::start())));
    let app = App {
        rooms: Arc::clone(&rooms),
        shelf: Arc::new(shelf),
        traffic: Arc::new(Traffic::default()),
    };
    let address = listener.local_addr().map_err(|error| system(&error))?;
    announce(address);
    serve::serve(listener, serve::router(app, &options.web), rooms, stop).await
}

/// Whoever started the server may wait for this line, or may have closed the pipe.
fn announce(address: SocketAddr) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "listening on http://{address}").and_then(|()| out.flush());
}

/// Ctrl-C, or the system's wish.
fn told_to_stop() -> Result<impl Future<Output = ()> + Send, StartError> {
    #[cfg(unix)]
    let mut terminate = {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::terminate()).map_err(|error| system(&error))?
    };
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    })
}

fn system(error: &impl ToString) -> StartError {
    StartError::System {
        detail: error.to_string(),
    }
}
