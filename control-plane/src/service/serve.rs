//! Serves the gRPC surface on a listener: a Unix socket, TLS, or TCP in the clear.

use axum::middleware;
use futures::StreamExt as _;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::server::Server;
use toolplane_tls::server as tls;

use super::Error;
use super::connection::{self, Connection};
use super::crowd::Crowd;

/// How often an idle connection is probed, so that a peer that vanished is noticed.
const KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(20);
/// How long the peer may take to answer.
const KEEPALIVE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// Where the admin API listens.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port: TLS where the options name its files, in the clear otherwise.
    Tcp(TcpListener),
    /// A Unix socket, which the file system protects.
    Unix(UnixListener),
}

/// A gRPC server that notices peers that vanished.
pub fn server() -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
}

/// Serves until told to stop.
pub(super) async fn serve(
    routes: Routes,
    listener: Listener,
    (tls, crowd): (Option<tls::Server>, Crowd),
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let counted = routes.into_axum_router().layer(middleware::from_fn(connection::count));
    let server = server().add_routes(Routes::from(counted));
    let stop = shutdown.cancelled_owned();
    let result = match (listener, tls) {
        (Listener::Tcp(listener), Some(tls)) => {
            let (ready, accepting) = tls::accept(listener, tls);
            let incoming = ready.filter_map(move |ready| {
                let placed = ready.map(|ready| {
                    let peer = ready.get_ref().0.peer_addr().ok();
                    Connection::open(ready, peer, &crowd)
                });
                std::future::ready(placed.transpose())
            });
            // Accepting ends when the server lets go of the connections that are ready.
            let (result, ()) = tokio::join!(server.serve_with_incoming_shutdown(incoming, stop), accepting);
            result
        }
        (Listener::Tcp(listener), None) => {
            server.serve_with_incoming_shutdown(connection::incoming(listener, crowd), stop).await
        }
        (Listener::Unix(listener), _) => {
            server.serve_with_incoming_shutdown(connection::incoming(listener, crowd), stop).await
        }
    };
    result.map_err(|error| Error::Serve(error.into()))
}
