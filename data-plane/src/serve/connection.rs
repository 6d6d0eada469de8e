//! One connection: its age, and how it is asked to end.
//!
//! | | HTTP/1.1 | HTTP/2 |
//! |---|---|---|
//! | too old | the next answer ends it; unused for as long again, it is closed | GOAWAY |
//! | draining | the next answer ends it | GOAWAY |
//! | closing | closed when idle; a newcomer has a second to say what it wants | GOAWAY |
//!
//! An idle connection is never closed while its peer may be about to use it: a request that meets the close is lost,
//! and a load balancer may not send it again.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::HttpBody;
use axum::response::Response;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tower::Service;

use super::Phases;
use crate::metrics::Limit;
use crate::shed::{Overflow, Seat};

/// How long a client may take to send the head of a request, counted from the answer before it.
const HEAD_DEADLINE: Duration = Duration::from_secs(75);

/// The same for a connection beyond the limit, which is cut after twice that.
const OVERFLOW_DEADLINE: Duration = Duration::from_secs(2);

/// How long a connection that has said nothing yet outlives the listener.
const NEWCOMER: Duration = Duration::from_secs(1);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What is known of a connection.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    phases: Phases,
    opened: Instant,
    seen: Arc<Seen>,
    /// Given up when the last clone goes, with the connection.
    place: Arc<Place>,
}

/// The place that a connection takes.
#[derive(Debug)]
pub(super) enum Place {
    /// One of those there are.
    Seat(#[expect(dead_code, reason = "held until it is dropped")] Seat),
    /// One beyond, for one request.
    Overflow(#[expect(dead_code, reason = "held until it is dropped")] OwnedSemaphorePermit),
}

#[derive(Debug, Default)]
struct Seen {
    /// A request has come.
    request: AtomicBool,
    http2: AtomicBool,
    /// The connection is past its age.
    old: AtomicBool,
}

/// The routes, as one connection sees them.
#[derive(Debug, Clone)]
struct Routes {
    router: Router,
    connection: Connection,
}

// ---- Connection ----

impl Connection {
    pub(super) fn new(phases: Phases, place: Place) -> Self {
        Self { phases, opened: Instant::now(), seen: Arc::default(), place: Arc::new(place) }
    }

    /// Serves it to its end.
    pub(super) async fn serve(self, stream: TcpStream, router: Router) {
        let mut builder = Builder::new(TokioExecutor::new());
        let head_deadline = if self.is_overflow() { OVERFLOW_DEADLINE } else { HEAD_DEADLINE };
        builder.http1().timer(TokioTimer::new()).header_read_timeout(head_deadline);
        let service = TowerToHyperService::new(Routes { router, connection: self.clone() });
        let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        let outcome = tokio::select! {
            outcome = serving.as_mut() => outcome,
            () = self.time_to_end() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
            () = self.overtime() => Ok(()),
        };
        if let Err(error) = outcome {
            if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout) {
                self.phases.metrics.limit(Limit::HeadTime);
            }
            tracing::trace!(%error, "a connection broke");
        }
    }

    /// Waits until the connection has to be ended from this side.
    async fn time_to_end(&self) {
        tokio::select! {
            () = self.overage() => {}
            () = self.goaway() => {}
            () = self.phases.closing.cancelled() => {
                if !self.seen.request.load(Ordering::Relaxed) {
                    tokio::time::sleep_until(self.opened + NEWCOMER).await;
                }
            }
        }
    }

    /// When a connection beyond the limit is cut, whatever it does.
    async fn overtime(&self) {
        if !self.is_overflow() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(2 * OVERFLOW_DEADLINE).await;
    }

    async fn overage(&self) {
        let Some(age) = self.phases.connection_age(random()) else { return std::future::pending().await };
        tokio::time::sleep_until(self.opened + age).await;
        self.seen.old.store(true, Ordering::Relaxed);
        if !self.is_http2() {
            tokio::time::sleep(age).await;
        }
    }

    async fn goaway(&self) {
        self.phases.draining.cancelled().await;
        if !self.is_http2() {
            std::future::pending::<()>().await;
        }
    }

    fn is_overflow(&self) -> bool {
        matches!(*self.place, Place::Overflow(_))
    }

    fn is_http2(&self) -> bool {
        self.seen.http2.load(Ordering::Relaxed)
    }

    /// Whether an answer over HTTP/1.1 says that it is the last.
    fn is_leaving(&self) -> bool {
        self.is_overflow() || self.seen.old.load(Ordering::Relaxed) || self.phases.draining.is_cancelled()
    }
}

/// Without randomness all connections have the same age, which is no reason to serve none.
fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

// ---- Routes ----

impl<B> Service<Request<B>> for Routes
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<B>>::poll_ready(&mut self.router, context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let connection = self.connection.clone();
        let http2 = request.version() == Version::HTTP_2;
        connection.seen.http2.store(http2, Ordering::Relaxed);
        connection.seen.request.store(true, Ordering::Relaxed);
        if connection.is_overflow() {
            request.extensions_mut().insert(Overflow);
        }
        let running = connection.phases.running.token();
        let answer = self.router.call(request);
        Box::pin(async move {
            let mut response = answer.await?;
            if !http2 && connection.is_leaving() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            drop(running);
            Ok(response)
        })
    }
}
