//! Opens connections: resolves, connects, secures.
//!
//! Owns the last word of the url guard: every address is checked right before it is connected to, whether it was
//! written down or a name led to it. Knows nothing of HTTP beyond which version of it was agreed on.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use toolplane_registry::Rejection;
use url::Host;

use super::place::Origin;
use crate::guard::{self, Policy};

/// How long one address may be tried before the next one is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);
/// How often a peer that says nothing is asked by TCP whether it is still there, and how long what was sent may stay
/// unacknowledged.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 3;
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Opens connections as one set of TLS settings wants them.
pub(super) struct Dialer {
    tls: TlsConnector,
    guard: Policy,
}

/// Why no connection came about.
#[derive(Debug)]
pub(super) enum Failure {
    /// The guard refuses every address there is.
    Refused(Rejection),
    /// The limit passed.
    TimedOut,
    /// Something else.
    Broken(io::Error),
}

/// A connection.
pub(super) enum Stream {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

impl Dialer {
    pub(super) fn new(tls: Arc<ClientConfig>, guard: Policy) -> Self {
        Self { tls: tls.into(), guard }
    }

    /// Connects within a limit.
    pub(super) async fn dial(&self, origin: &Origin, limit: Duration) -> Result<Stream, Failure> {
        tokio::time::timeout(limit, self.connect(origin)).await.unwrap_or(Err(Failure::TimedOut))
    }

    async fn connect(&self, origin: &Origin) -> Result<Stream, Failure> {
        let (addresses, name) = match &origin.host {
            Host::Ipv4(ip) => (vec![SocketAddr::new(IpAddr::V4(*ip), origin.port)], IpAddr::V4(*ip).into()),
            Host::Ipv6(ip) => (vec![SocketAddr::new(IpAddr::V6(*ip), origin.port)], IpAddr::V6(*ip).into()),
            Host::Domain(name) => {
                let found = tokio::net::lookup_host((name.as_str(), origin.port)).await?;
                (found.collect(), ServerName::try_from(name.clone()).map_err(io::Error::other)?)
            }
        };
        let stream = reach(self.permitted(addresses)?).await?;
        tune(&stream);
        if !origin.is_secure {
            return Ok(Stream::Plain(stream));
        }
        Ok(Stream::Secure(Box::new(self.tls.connect(name, stream).await?)))
    }

    /// Those that the guard lets pass; where it refuses all of them, why.
    fn permitted(&self, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Failure> {
        let mut permitted = Vec::with_capacity(addresses.len());
        let mut refused = None;
        for address in addresses {
            match guard::check_addr(address.ip(), &self.guard) {
                Ok(()) => permitted.push(address),
                Err(rejection) => refused = Some(rejection),
            }
        }
        match refused {
            Some(rejection) if permitted.is_empty() => Err(Failure::Refused(rejection)),
            _ => Ok(permitted),
        }
    }
}

/// Connects to the first address that answers, families in turn, each with a head start before the next.
async fn reach(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut attempts = FuturesUnordered::new();
    let mut waiting = in_turn(addresses).into_iter();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name leads to no address");
    loop {
        match waiting.next() {
            Some(address) => attempts.push(TcpStream::connect(address)),
            None if attempts.is_empty() => return Err(failure),
            None => {}
        }
        tokio::select! {
            Some(outcome) = attempts.next() => match outcome {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            },
            () = tokio::time::sleep(HEAD_START), if waiting.len() > 0 => {}
        }
    }
}

/// The addresses by turns of the two families, beginning with the system's favorite.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (favored, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == is_first);
    let mut others = others.into_iter();
    let mut turns = Vec::new();
    for address in favored {
        turns.push(address);
        turns.extend(others.next());
    }
    turns.extend(others);
    turns
}

/// Small messages leave at once, and a peer that is gone is found out.
fn tune(stream: &TcpStream) {
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE).with_retries(KEEPALIVE_RETRIES);
    let socket = SockRef::from(stream);
    let tuned = stream
        .set_nodelay(true)
        .and_then(|()| socket.set_tcp_keepalive(&keepalive))
        .and_then(|()| socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED)));
    if let Err(error) = tuned {
        tracing::debug!(%error, "cannot set options of a connection");
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

// ---- Stream ----

impl Stream {
    /// Whether HTTP/2 was agreed on.
    pub(super) fn is_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Secure(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Secure(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Secure(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
            Self::Secure(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Secure(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Secure(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_beginning_with_the_favorite() {
        let found = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let turns = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(in_turn(found), turns);
        assert_eq!(in_turn(addresses(&["1.1.1.1:1", "[::1]:1"])), addresses(&["1.1.1.1:1", "[::1]:1"]));
    }

    #[tokio::test]
    async fn an_address_that_refuses_does_not_hide_one_that_answers() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let gone = {
            let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            other.local_addr().unwrap()
        };
        let stream = reach(vec![gone, there]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), there);
        assert_eq!(reach(vec![gone]).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(reach(Vec::new()).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
