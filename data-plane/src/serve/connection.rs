//! One connection: its age, and how it is asked to end.
//!
//! | | HTTP/1.1 | HTTP/2 |
//! |---|---|---|
//! | too old | the next answer ends it; unused for as long again, it is closed | GOAWAY |
//! | draining | the next answer ends it | GOAWAY |
//! | idle for too long, or its place is needed | closed | GOAWAY |
//! | closing | closed when idle; a newcomer has a second to say what it wants | GOAWAY |
//!
//! An idle connection is never closed while its peer may be about to use it: a request that meets the close is lost,
//! and a load balancer may not send it again.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::response::Response;
use futures::future::BoxFuture;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use super::Phases;
use super::activity::{Activity, Over, Run};
use super::streams::{self, Streams};
use super::wire::Wire;
use crate::metrics::Limit;
use crate::shed::{Client, Purse, Seat};
use crate::site::Site;

/// Largest head of a request, in bytes. What does not fit is answered with 431.
const MAX_HEAD_BYTES: u32 = 64 << 10;
/// How many streams of HTTP/2 one connection has at once.
const MAX_STREAMS: u32 = 128;
/// How much of an answer one of them holds ready, in bytes.
const MAX_STREAM_BUFFER: usize = 64 << 10;

/// How long a connection that is idle and was told to end takes to do so.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long a connection beyond the limit may take to send the head of its request; it is cut after twice that.
const OVERFLOW_DEADLINE: Duration = Duration::from_secs(2);

/// How long a connection that has said nothing yet outlives the listener.
const NEWCOMER: Duration = Duration::from_secs(1);

/// What is known of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    phases: Phases,
    activity: Arc<Activity>,
    /// The connection is past its age.
    old: AtomicBool,
    /// What its requests hold.
    purse: Purse,
    /// Given up with the connection and its last request.
    place: Place,
    peer: IpAddr,
}

/// The place that a connection takes.
#[derive(Debug)]
pub(super) enum Place {
    /// One of those there are.
    Seat(#[expect(dead_code, reason = "held until it is dropped")] Seat),
    /// One beyond, for one request.
    Overflow(#[expect(dead_code, reason = "held until it is dropped")] OwnedSemaphorePermit),
}

/// What the node serves, as one connection sees it.
#[derive(Clone)]
struct View {
    site: Arc<Site>,
    connection: Arc<Connection>,
}

// ---- Connection ----

impl Connection {
    pub(super) fn new(phases: Phases, place: Place, activity: Arc<Activity>, peer: IpAddr) -> Self {
        Self { phases, activity, old: AtomicBool::new(false), purse: Purse::default(), place, peer }
    }

    /// Serves it to its end.
    pub(super) async fn serve(self, stream: TcpStream, site: Arc<Site>) {
        let connection = Arc::new(self);
        let view = View { site, connection: Arc::clone(&connection) };
        connection.run(stream, view).await;
    }

    async fn run(&self, stream: TcpStream, view: View) {
        let builder = self.builder();
        let wire = Wire::new(stream, Arc::clone(&self.activity), self.phases.limits.stall);
        let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(wire), view));
        let outcome = tokio::select! {
            outcome = serving.as_mut() => outcome,
            () = self.time_to_end() => {
                serving.as_mut().graceful_shutdown();
                tokio::select! {
                    outcome = serving => outcome,
                    () = self.farewell() => Ok(()),
                }
            }
            () = self.overtime() => Ok(()),
        };
        if let Err(error) = outcome {
            self.note(&*error);
            tracing::trace!(%error, "a connection broke");
        }
    }

    fn builder(&self) -> Builder<Streams> {
        let Phases { limits, metrics, .. } = &self.phases;
        let mut builder =
            Builder::new(Streams::new(Arc::clone(&self.activity), limits.stall, metrics.clone()));
        builder.http1().max_buf_size(MAX_HEAD_BYTES as usize);
        builder
            .http2()
            .max_header_list_size(MAX_HEAD_BYTES)
            .max_concurrent_streams(MAX_STREAMS)
            .max_send_buf_size(MAX_STREAM_BUFFER);
        if self.is_overflow() {
            builder.http1().timer(TokioTimer::new()).header_read_timeout(OVERFLOW_DEADLINE);
        }
        builder
    }

    /// Counts a limit that a connection ran into.
    fn note(&self, error: &(dyn std::error::Error + 'static)) {
        let is_timeout = |error: &&(dyn std::error::Error + 'static)| {
            error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
        };
        if std::iter::successors(Some(error), |error| error.source()).any(|error| is_timeout(&error)) {
            self.phases.metrics.limit(Limit::AnswerTime);
        } else if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout) {
            self.phases.metrics.limit(Limit::HeadTime);
        }
    }

    /// Waits until the connection has to be ended from this side.
    async fn time_to_end(&self) {
        tokio::select! {
            () = self.overage() => {}
            () = self.goaway() => {}
            over = self.activity.over(), if !self.is_overflow() => {
                if over == Over::Idle {
                    self.phases.metrics.limit(Limit::HeadTime);
                }
            }
            () = self.phases.closing.cancelled() => {
                if !self.activity.has_requested() {
                    tokio::time::sleep_until(self.activity.opened() + NEWCOMER).await;
                }
            }
        }
    }

    /// Waits until a connection that was told to end answers nobody and had time to say so. A head that never comes
    /// to its end, and streams whose answer nobody takes, would keep it.
    async fn farewell(&self) {
        loop {
            self.activity.over().await;
            tokio::time::sleep(FAREWELL).await;
            if self.activity.is_quiet_for(FAREWELL) {
                return;
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
        tokio::time::sleep_until(self.activity.opened() + age).await;
        self.old.store(true, Ordering::Relaxed);
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
        matches!(self.place, Place::Overflow(_))
    }

    fn is_http2(&self) -> bool {
        self.activity.is_http2()
    }

    /// Whether an answer over HTTP/1.1 says that it is the last.
    fn is_leaving(&self) -> bool {
        self.is_overflow() || self.old.load(Ordering::Relaxed) || self.phases.draining.is_cancelled()
    }
}

/// Without randomness all connections have the same age, which is no reason to serve none.
fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

// ---- View ----

impl Service<Request<Incoming>> for View {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let Self { site, connection } = self.clone();
        let http2 = request.version() == Version::HTTP_2;
        // Of a stream its task is counted.
        let run = (!http2).then(|| connection.activity.run());
        connection.activity.requested();
        let running = connection.phases.running.token();
        Box::pin(async move {
            let client = Client::new(connection.purse.clone(), streams::turn()).at(connection.peer);
            let client = if connection.is_overflow() { client.beyond() } else { client };
            let mut response = site.answer(request, client).await;
            if !http2 && connection.is_leaving() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            drop(running);
            Ok(lasting(response, run))
        })
    }
}

/// Counts a stream of events as being answered to its end. Of other answers it shows as they are written.
fn lasting(response: Response, run: Option<Run>) -> Response {
    if run.is_none() || response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _run = &run;
            frame
        }))
    })
}
