//! `signaling-server`: see `--help`.

mod options;

use std::{future::Future, io::Write, process::ExitCode, sync::Arc};

use clap::Parser;
use options::Options;
use signaling_server::{
    StartError,
    api::App,
    catalogue::Catalogue,
    clock::SystemClock,
    gate::Gate,
    log,
    machine::Machine,
    models::{Shelf, Traffic},
    rooms::Rooms,
    serve::{self, Entrance},
    tls,
    visitors::Visitors,
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
    log::start(options.log, options.log_format);
    let limits = options.limits();
    let machine = Machine::look();
    let entrances = entrances(&options, &machine).await?;
    let stop = told_to_stop(options.stop_with_stdin)?;
    options.notice_missing_page();
    let files = options.model.clone();
    let shelf =
        tokio::task::spawn_blocking(move || Shelf::read(&files, |line| tracing::info!("{line}")));
    let catalogue = options.catalogue.as_deref().map(Catalogue::read);
    let catalogue = catalogue.transpose()?.unwrap_or_default();
    let shelf = shelf.await.map_err(|error| system(&error))??;
    let clock = Arc::new(SystemClock::start());
    let app = App {
        rooms: Arc::new(Rooms::new(limits.clone(), clock.clone())),
        visitors: Arc::new(Visitors::new(limits.clone(), clock)),
        shelf: Arc::new(shelf),
        catalogue: Arc::new(catalogue),
        counts: Arc::default(),
        traffic: Arc::new(Traffic::default()),
    };
    let gate = Gate {
        limits: limits.clone(),
        behind_proxy: options.behind_proxy,
    };
    let origins = [&options.model_origin[..], &app.catalogue.origins].concat();
    let router = serve::router(app.clone(), gate, &options.web, &origins);
    announce(&entrances, &machine)?;
    serve::serve(entrances, router, app, &limits, stop).await;
    Ok(())
}

async fn entrances(options: &Options, machine: &Machine) -> Result<Vec<Entrance>, StartError> {
    let mut entrances = vec![Entrance::open(options.plain_address(), None).await?];
    if let Some(address) = options.https_address() {
        let tls = tls::acceptor(&options.certificate(), machine)?;
        entrances.push(Entrance::open(address, Some(tls)).await?);
    }
    Ok(entrances)
}

/// One line for every way in, the best of each entrance first, then `ready`. Whoever started the server may wait for these lines, or
/// may have closed the pipe.
fn announce(entrances: &[Entrance], machine: &Machine) -> Result<(), StartError> {
    let mut lines = String::new();
    for entrance in entrances {
        for way in machine.ways_to(entrance.address()?) {
            lines += &format!("listening on {}://{way}\n", entrance.scheme());
        }
    }
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{lines}ready").and_then(|()| out.flush());
    Ok(())
}

/// Ctrl-C, the system's wish, or the end of whoever started it.
fn told_to_stop(with_stdin: bool) -> Result<impl Future<Output = ()> + Send, StartError> {
    #[cfg(unix)]
    let mut terminate = {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::terminate()).map_err(|error| system(&error))?
    };
    let terminated = async move {
        #[cfg(unix)]
        terminate.recv().await;
        #[cfg(not(unix))]
        std::future::pending::<()>().await;
    };
    Ok(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = terminated => {}
            () = stdin_ended(), if with_stdin => {}
        }
    })
}

async fn stdin_ended() {
    // Whatever comes is not meant for us, and an unreadable input has ended, too.
    let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await;
}

fn system(error: &impl ToString) -> StartError {
    StartError::System {
        detail: error.to_string(),
    }
}
