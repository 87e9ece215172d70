//! The whole server.

mod connection;
mod crowd;
mod entrance;

use std::{future::Future, path::Path, sync::Arc, time::Duration};

use axum::{Router, middleware};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::task::JoinSet;

use crate::{
    api::{self, App},
    counts,
    gate::{self, Gate},
    limits::Limits,
    web::{self, ModelOrigin},
};
use connection::Hall;
pub use crowd::{Crowd, Place};
pub use entrance::Entrance;

/// Downloads that are under way when the server is told to stop get so long.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The log says how much happened this often, if anything did.
const REPORT: Duration = Duration::from_secs(60);

/// Everything under one origin.
pub fn router(app: App, gate: Gate, folder: &Path, origins: &[ModelOrigin]) -> Router {
    let headers = Arc::new(web::headers(origins));
    let counts = Arc::clone(&app.counts);
    api::router(app)
        .fallback_service(web::files(folder))
        .layer(middleware::from_fn_with_state(Arc::new(gate), gate::pass))
        .layer(middleware::from_fn_with_state(headers, web::guarded))
        .layer(middleware::from_fn_with_state(counts, counts::counted))
}

/// Serves until `stop`; then ends all streams, and downloads a little later.
pub async fn serve(
    entrances: Vec<Entrance>,
    router: Router,
    app: App,
    limits: &Limits,
    stop: impl Future<Output = ()> + Send,
) {
    let crowd = Arc::new(Crowd::new(
        limits.connections,
        limits.connections_per_address,
    ));
    let connections = Arc::new(GracefulShutdown::new());
    let mut open = JoinSet::new();
    for entrance in entrances {
        let hall = Hall::new(router.clone(), Arc::clone(&crowd), limits.clone());
        open.spawn(entrance.let_in(hall, Arc::clone(&connections)));
    }
    open.spawn(report(app.clone(), crowd));
    stop.await;
    tracing::info!("stopping");
    open.shutdown().await;
    app.rooms.close();
    if let Some(connections) = Arc::into_inner(connections) {
        // Whoever is not done by then is cut off.
        let _ = tokio::time::timeout(LAST_WORDS, connections.shutdown()).await;
    }
}

async fn report(app: App, crowd: Arc<Crowd>) {
    let mut last = 0;
    loop {
        tokio::time::sleep(REPORT).await;
        let report = app.counts.take();
        let (connections, driven_out) = crowd.count();
        if report.requests > 0 || driven_out > last {
            tracing::info!(
                rooms = app.rooms.count(),
                streams = app.visitors.streams(),
                connections,
                driven_out = driven_out - last,
                requests = report.requests,
                refused = ?report.refused,
                violations = report.violations,
                "the last minute"
            );
        }
        last = driven_out;
    }
}
