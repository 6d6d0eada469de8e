//! Accepts connections and shakes hands with them, many at once.
//!
//! Owns the bounds: a handshake has a deadline, and where too many are under way the oldest gives way, so that
//! clients that connect and say nothing keep nobody out. A client that speaks HTTP/2 in the clear is told so in its
//! own protocol, and one that is refused gets to read why.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;

use super::Server;

/// A connection on which both sides proved what they had to.
pub type Connection = TlsStream<TcpStream>;

/// Connections as they become ready.
pub type Incoming = ReceiverStream<io::Result<Connection>>;

/// How long a client may take from connecting to the end of the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Handshakes under way at once.
const MAX_HANDSHAKES: usize = 256;
/// Connections that are ready and not taken yet.
const READY: usize = 16;
/// How much of what a refused client still says is read, so that closing does not take the reason from it.
const LINGER_BYTES: u64 = 64 << 10;
/// The pause after the system refused a connection, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The first byte of every TLS connection: a handshake record.
const HANDSHAKE_RECORD: u8 = 0x16;

/// Empty SETTINGS, then GOAWAY with `INADEQUATE_SECURITY` (RFC 9113, sections 6.5, 6.8 and 7) and [`PLAIN_REASON`].
pub(crate) const PLAIN_ANSWER: &[u8] = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00\
    \x00\x00\x2b\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0c";
const PLAIN_REASON: &[u8] = b"this port speaks TLS: use https://.";

/// Accepts until the receiver of the connections is dropped. The future has to be driven for anything to happen.
pub fn accept(listener: TcpListener, server: Server) -> (Incoming, impl Future<Output = ()> + Send) {
    let (ready, incoming) = mpsc::channel(READY);
    (ReceiverStream::new(incoming), run(listener, server, ready))
}

async fn run(listener: TcpListener, server: Server, ready: mpsc::Sender<io::Result<Connection>>) {
    let mut handshakes = Handshakes::default();
    loop {
        tokio::select! {
            () = ready.closed() => return,
            Some(_) = handshakes.tasks.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => handshakes.start(stream, peer, &server, &ready),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

/// The handshakes under way; dropping them ends them.
#[derive(Default)]
struct Handshakes {
    tasks: JoinSet<()>,
    /// Oldest first; those that have ended are swept out when there is no more room.
    order: VecDeque<AbortHandle>,
}

impl Handshakes {
    fn start(
        &mut self,
        stream: TcpStream,
        peer: SocketAddr,
        server: &Server,
        ready: &mpsc::Sender<io::Result<Connection>>,
    ) {
        if self.order.len() >= MAX_HANDSHAKES {
            self.order.retain(|handshake| !handshake.is_finished());
        }
        if self.order.len() >= MAX_HANDSHAKES
            && let Some(oldest) = self.order.pop_front()
        {
            oldest.abort();
        }
        let (server, ready) = (server.clone(), ready.clone());
        self.order.push_back(self.tasks.spawn(async move {
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake(stream, &server)).await {
                // Nobody takes it once the server is stopping.
                Ok(Ok(connection)) => drop(ready.send(Ok(connection)).await),
                Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    tracing::debug!(%peer, "a client connected and went away");
                }
                Ok(Err(error)) => tracing::info!(%peer, %error, "refused a connection"),
                Err(_) => tracing::info!(%peer, "a client did not finish the handshake in time"),
            }
        }));
    }
}

async fn handshake(mut stream: TcpStream, server: &Server) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if first != [HANDSHAKE_RECORD] {
        stream.write_all(PLAIN_ANSWER).await?;
        stream.write_all(PLAIN_REASON).await?;
        linger(stream).await;
        return Err(io::Error::other("the client does not speak TLS"));
    }
    match TlsAcceptor::from(server.current()).accept(stream).into_fallible().await {
        Ok(connection) => Ok(connection),
        Err((error, stream)) => {
            linger(stream).await;
            Err(error)
        }
    }
}

/// Ends a connection so that the other side can read what was last sent. Bounded by the handshake's deadline.
async fn linger(mut stream: TcpStream) {
    // The peer may be gone, which ends it just as well.
    drop(stream.shutdown().await);
    drop(tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_plain_http_is_well_formed() {
        let goaway = &PLAIN_ANSWER[9..];
        assert_eq!(
            usize::from(goaway[2]),
            goaway.len() - 9 + PLAIN_REASON.len(),
            "the length of its payload"
        );
    }
}
