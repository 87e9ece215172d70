//! The whole server.

use std::{future::Future, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use axum::{Router, middleware};
use tokio::net::TcpListener;

use crate::{
    api::{self, App},
    error::StartError,
    rooms::Rooms,
    web,
};

/// Downloads that are under way when the server is told to stop get so long.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Everything under one origin.
pub fn router(app: App, web: &Path) -> Router {
    api::router(app)
        .fallback_service(web::files(web))
        .layer(middleware::from_fn(web::guarded))
}

/// Takes the port; 0 lets the system choose.
///
/// # Errors
/// `server.port_in_use`, `server.address`.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => StartError::PortInUse { address },
            _ => StartError::Address {
                address,
                detail: error.to_string(),
            },
        })
}

/// Serves until `stop`; then ends all streams, and downloads a little later.
///
/// # Errors
/// `server.system`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    rooms: Arc<Rooms>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), StartError> {
    let (stopped, told) = tokio::sync::oneshot::channel();
    let stop = async move {
        stop.await;
        rooms.close();
        // The server may have ended by itself meanwhile.
        let _ = stopped.send(());
    };
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop);
    let patience = async {
        match told.await {
            Ok(()) => tokio::time::sleep(LAST_WORDS).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        served = serving => served.map_err(|error| StartError::System { detail: error.to_string() }),
        () = patience => Ok(()),
    }
}
