//! Where connections come in.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::connection::converse;
use crate::error::StartError;

/// The system has no room for another connection: some end meanwhile.
const BREATH: Duration = Duration::from_millis(50);

/// A port, plain or encrypted.
pub struct Entrance {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Entrance {
    /// Takes the port; 0 lets the system choose.
    ///
    /// # Errors
    /// `server.port_in_use`, `server.address`.
    pub async fn open(address: SocketAddr, tls: Option<TlsAcceptor>) -> Result<Self, StartError> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => StartError::PortInUse { address },
            _ => StartError::Address {
                address,
                detail: error.to_string(),
            },
        })?;
        Ok(Self { listener, tls })
    }

    /// How addresses of its pages begin.
    pub const fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "https",
            None => "http",
        }
    }

    /// Address and port it has.
    ///
    /// # Errors
    /// `server.system`.
    pub fn address(&self) -> Result<SocketAddr, StartError> {
        self.listener
            .local_addr()
            .map_err(|error| StartError::System {
                detail: error.to_string(),
            })
    }

    /// Serves everyone who comes.
    pub(super) async fn let_in(self, router: Router, connections: Arc<GracefulShutdown>) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let watcher = connections.watcher();
                    tokio::spawn(converse(stream, self.tls.clone(), router.clone(), watcher));
                }
                Err(error) if is_of_one(&error) => {}
                Err(_) => tokio::time::sleep(BREATH).await,
            }
        }
    }
}

/// The connection broke before it was taken.
fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}
