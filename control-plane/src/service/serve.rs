//! Serves the gRPC surface on a listener: a Unix socket, TLS, or TCP in the clear.

use tokio::net::{TcpListener, UnixListener};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::server::{Server, TcpIncoming};
use toolplane_tls::server as tls;

use super::Error;

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
    tls: Option<tls::Server>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let server = server().add_routes(routes);
    let stop = shutdown.cancelled_owned();
    let result = match (listener, tls) {
        (Listener::Tcp(listener), Some(tls)) => {
            let (incoming, accepting) = tls::accept(listener, tls);
            // Accepting ends when the server lets go of the connections that are ready.
            let (result, ()) = tokio::join!(server.serve_with_incoming_shutdown(incoming, stop), accepting);
            result
        }
        (Listener::Tcp(listener), None) => {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            server.serve_with_incoming_shutdown(incoming, stop).await
        }
        (Listener::Unix(listener), _) => {
            server.serve_with_incoming_shutdown(UnixListenerStream::new(listener), stop).await
        }
    };
    result.map_err(|error| Error::Serve(error.into()))
}
