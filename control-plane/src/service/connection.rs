//! Accepting connections, and ending those that are of no use.
//!
//! Owns the bytes in between: a [`Connection`] reads as ended once it was displaced or has been of no use for too
//! long, which ends it whatever its peer does. Which ones that are is decided by [`super::crowd`]. Where the system
//! refuses to accept, it is left alone for a moment and the log is told now and then.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use futures::{Stream, stream};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::Connected;

use super::crowd::{Activity, Crowd, Place};

/// The pause after the system refused a connection, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often the log is told of what keeps happening.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Where connections come from.
pub(super) trait Accept: Send {
    /// What is read and written.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next one, and where its other side is.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Io, Option<SocketAddr>)>> + Send;
}

/// A connection that holds a place.
pub(super) struct Connection<Io> {
    io: Io,
    place: Place,
    displaced: Pin<Box<WaitForCancellationFutureOwned>>,
    timer: Pin<Box<Sleep>>,
    is_over: bool,
}

/// Lets through what is to be said, once in a while.
#[derive(Default)]
struct Seldom(Option<Instant>);

/// The connections of a listener that found a place.
pub(super) fn incoming<L: Accept>(
    listener: L,
    crowd: Crowd,
) -> impl Stream<Item = io::Result<Connection<L::Io>>> {
    let state = (listener, crowd, Seldom::default());
    stream::unfold(state, |(listener, crowd, mut seldom)| async move {
        loop {
            match listener.next().await {
                Ok((io, peer)) => {
                    if let Some(connection) = Connection::open(io, peer, &crowd) {
                        return Some((Ok(connection), (listener, crowd, seldom)));
                    }
                    if seldom.is_time() {
                        tracing::warn!("refused a connection: as many as may be are open and in use");
                    }
                }
                Err(error) => {
                    if seldom.is_time() {
                        tracing::warn!(%error, "cannot accept connections");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    })
}

/// Counts a request for as long as it is answered.
pub(super) async fn count(request: Request, next: Next) -> Response {
    let counted = request.extensions().get::<Activity>().map(Activity::request);
    let response = next.run(request).await;
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            // Dropped together with the body.
            let _counted = &counted;
            frame
        }))
    })
}

impl Accept for TcpListener {
    type Io = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, Option<SocketAddr>)> {
        let (stream, peer) = self.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, Some(peer)))
    }
}

impl Accept for UnixListener {
    type Io = UnixStream;

    async fn next(&self) -> io::Result<(UnixStream, Option<SocketAddr>)> {
        Ok((self.accept().await?.0, None))
    }
}

impl Seldom {
    fn is_time(&mut self) -> bool {
        let now = Instant::now();
        let is_time = self.0.is_none_or(|last| now.saturating_duration_since(last) >= LOG_EVERY);
        if is_time {
            self.0 = Some(now);
        }
        is_time
    }
}

// ---- Connection ----

impl<Io> Connection<Io> {
    /// Takes a place; `None` where there is none.
    pub(super) fn open(io: Io, peer: Option<SocketAddr>, crowd: &Crowd) -> Option<Self> {
        let place = crowd.enter(peer)?;
        let timer = place.deadline().unwrap_or_else(|| place.look_again());
        Some(Self {
            io,
            displaced: Box::pin(place.displaced().cancelled_owned()),
            timer: Box::pin(tokio::time::sleep_until(timer)),
            place,
            is_over: false,
        })
    }

    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        if self.is_over || self.displaced.as_mut().poll(context).is_ready() {
            self.is_over = true;
            return true;
        }
        while self.timer.as_mut().poll(context).is_ready() {
            match self.place.deadline() {
                Some(deadline) if deadline <= Instant::now() => {
                    self.place.expired();
                    self.is_over = true;
                    return true;
                }
                Some(deadline) => self.timer.as_mut().reset(deadline),
                None => self.timer.as_mut().reset(self.place.look_again()),
            }
        }
        false
    }
}

impl<Io> Connected for Connection<Io> {
    type ConnectInfo = Activity;

    fn connect_info(&self) -> Activity {
        self.place.activity.clone()
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Connection<Io> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let connection = self.get_mut();
        if connection.is_over(context) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut connection.io).poll_read(context, buffer)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Connection<Io> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::StreamExt as _;
    use tokio::io::{AsyncReadExt as _, DuplexStream};

    use super::*;
    use crate::metrics::Metrics;
    use crate::service::crowd::Patience;

    fn crowd() -> Crowd {
        Crowd::new(8, Patience::default(), Metrics::new(None).connections())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_ends_by_itself() {
        let (io, _silent) = tokio::io::duplex(64);
        let mut connection = Connection::open(io, None, &crowd()).unwrap();
        assert_eq!(connection.read(&mut [0; 8]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_connection_that_was_displaced_ends() {
        let crowd = Crowd::new(1, Patience::default(), Metrics::new(None).connections());
        let (io, _silent) = tokio::io::duplex(64);
        let mut old = Connection::open(io, None, &crowd).unwrap();
        let new = crowd.enter(None);
        assert_eq!(old.read(&mut [0; 8]).await.unwrap(), 0);
        assert!(new.is_some());
    }

    /// As a system that is out of file descriptors for a while.
    struct Exhausted(AtomicU32);

    impl Accept for Exhausted {
        type Io = DuplexStream;

        async fn next(&self) -> io::Result<(DuplexStream, Option<SocketAddr>)> {
            if self.0.fetch_sub(1, Ordering::Relaxed) > 0 {
                return Err(io::Error::other("too many open files"));
            }
            Ok((tokio::io::duplex(64).0, None))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_system_that_refuses_to_accept_is_left_alone_in_between() {
        let began = Instant::now();
        let accepted = incoming(Exhausted(AtomicU32::new(5)), crowd());
        assert!(std::pin::pin!(accepted).next().await.unwrap().is_ok());
        assert_eq!(began.elapsed().as_millis(), 5 * ACCEPT_PAUSE.as_millis(), "on the clock of the test");
    }

    #[test]
    fn what_keeps_happening_is_logged_now_and_then() {
        let mut seldom = Seldom::default();
        assert_eq!([seldom.is_time(), seldom.is_time()], [true, false]);
    }
}
