//! Where connections come in.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;

use super::connection::Hall;
use crate::error::StartError;

/// The system has no room for another connection: some end meanwhile.
const BREATH: Duration = Duration::from_millis(50);

/// Connections that the system keeps until they are taken. One that finds no place there is tried again after a whole second.
const BACKLOG: u32 = 4096;

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
        let listener = listen(address).map_err(|error| match error.kind() {
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
    pub(super) async fn let_in(self, hall: Hall, connections: Arc<GracefulShutdown>) {
        let hall = Arc::new(hall);
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    let Some((place, leave)) = hall.crowd.admit(peer.ip()) else {
                        continue;
                    };
                    let (hall, tls) = (Arc::clone(&hall), self.tls.clone());
                    let watcher = connections.watcher();
                    tokio::spawn(async move {
                        let conversation = hall.converse(stream, peer, tls, place, watcher);
                        tokio::select! {
                            () = conversation => {}
                            _ = leave => {}
                        }
                    });
                }
                Err(error) if is_of_one(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be taken");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A server that starts again finds its port free.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The connection broke before it was taken.
fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}
