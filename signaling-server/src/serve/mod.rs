//! The whole server.

mod connection;
mod entrance;

use std::{future::Future, path::Path, sync::Arc, time::Duration};

use axum::{Router, middleware};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::task::JoinSet;

use crate::{
    api::{self, App},
    rooms::Rooms,
    web,
};
pub use entrance::Entrance;

/// Downloads that are under way when the server is told to stop get so long.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Everything under one origin.
pub fn router(app: App, web: &Path) -> Router {
    api::router(app)
        .fallback_service(web::files(web))
        .layer(middleware::from_fn(web::guarded))
}

/// Serves until `stop`; then ends all streams, and downloads a little later.
pub async fn serve(
    entrances: Vec<Entrance>,
    router: Router,
    rooms: Arc<Rooms>,
    stop: impl Future<Output = ()> + Send,
) {
    let connections = Arc::new(GracefulShutdown::new());
    let mut open = JoinSet::new();
    for entrance in entrances {
        open.spawn(entrance.let_in(router.clone(), Arc::clone(&connections)));
    }
    stop.await;
    open.shutdown().await;
    rooms.close();
    if let Some(connections) = Arc::into_inner(connections) {
        // Whoever is not done by then is cut off.
        let _ = tokio::time::timeout(LAST_WORDS, connections.shutdown()).await;
    }
}
