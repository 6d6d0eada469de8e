//! One request and its response, over whichever connection there is.
//!
//! Owns when a request is sent again: only where it certainly was not looked at. Over HTTP/1.1 that is one that did not
//! leave because the connection had ended, over HTTP/2 also one that the upstream turned away as such.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::future::poll_fn;
use http::header::HOST;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;

use super::line::{self, Line};
use super::place::Place;
use super::pool::{self, Connection, Shared, Shelf};

/// How often a request is sent again that an upstream turned away by HTTP/2 itself.
const MAX_TURNS: u32 = 2;

/// Why there is no response, or no more of one.
#[derive(Debug)]
pub(super) enum Failure {
    /// No connection came about.
    Open(pool::Failure),
    /// The connection broke.
    Http(hyper::Error),
    /// It ended.
    Ended,
}

/// The body of a response, with the connection that it comes over.
pub(super) struct Body {
    incoming: Incoming,
    carrier: Carrier,
}

enum Carrier {
    /// Kept for the next call as soon as the body is complete.
    Line { line: Option<Box<Line>>, shelf: Arc<Shelf> },
    /// Held, so that the connection lasts as long as what comes over it.
    Shared { _connection: Shared },
}

/// Sends a request that is complete but for the address, and waits for the head of the response.
pub(super) async fn send(
    shelf: &Arc<Shelf>,
    place: &Place,
    mut request: Request<Full<Bytes>>,
    connect: Duration,
) -> Result<Response<Body>, Failure> {
    let mut turns = 0;
    loop {
        let (connection, is_new) = match shelf.take() {
            Some(connection) => (connection, false),
            // Boxed: calls seldom come this way, and it is long.
            None => Box::pin(shelf.open(connect)).await.map_err(Failure::Open)?,
        };
        let unsent = match connection {
            Connection::Line(line) => over_line(shelf, place, line, request).await,
            Connection::Shared(shared) => Box::pin(over_shared(place, shared, request)).await,
        };
        match unsent? {
            Sent::Answered(response) => return Ok(*response),
            Sent::Not(unsent, _) if !is_new => request = *unsent,
            Sent::Not(_, error) => return Err(error.map_or(Failure::Ended, Failure::Http)),
            Sent::TurnedAway(unsent, _) if turns < MAX_TURNS => {
                turns += 1;
                request = *unsent;
            }
            Sent::TurnedAway(_, error) => return Err(Failure::Http(error)),
        }
    }
}

/// What became of a request.
enum Sent {
    Answered(Box<Response<Body>>),
    /// The connection had ended before.
    Not(Box<Request<Full<Bytes>>>, Option<hyper::Error>),
    /// The upstream says that it did not look at it.
    TurnedAway(Box<Request<Full<Bytes>>>, hyper::Error),
}

async fn over_line(
    shelf: &Arc<Shelf>,
    place: &Place,
    mut line: Box<Line>,
    mut request: Request<Full<Bytes>>,
) -> Result<Sent, Failure> {
    *request.uri_mut() = place.path.clone();
    request.headers_mut().insert(HOST, place.host.clone());
    match line.exchange(request).await {
        Ok(response) => {
            let carrier = Carrier::Line { line: Some(line), shelf: Arc::clone(shelf) };
            Ok(Sent::Answered(Box::new(response.map(|incoming| Body { incoming, carrier }))))
        }
        Err(line::Failure::Unsent(request, error)) => Ok(Sent::Not(request, Some(error))),
        Err(line::Failure::Broken(error)) => Err(Failure::Http(error)),
        Err(line::Failure::Ended) => Err(Failure::Ended),
    }
}

async fn over_shared(
    place: &Place,
    mut shared: Shared,
    mut request: Request<Full<Bytes>>,
) -> Result<Sent, Failure> {
    *request.uri_mut() = place.whole.clone();
    request.headers_mut().remove(HOST);
    let again = request.clone();
    match shared.try_send_request(request).await {
        Ok(response) => {
            let carrier = Carrier::Shared { _connection: shared };
            Ok(Sent::Answered(Box::new(response.map(|incoming| Body { incoming, carrier }))))
        }
        Err(mut error) => {
            let unsent = error.take_message();
            let error = error.into_error();
            match unsent {
                Some(request) => Ok(Sent::Not(Box::new(request), Some(error))),
                None if is_turned_away(&error) => Ok(Sent::TurnedAway(Box::new(again), error)),
                None => Err(Failure::Http(error)),
            }
        }
    }
}

/// Whether the upstream says that it did not look at the request (RFC 9113, section 8.7).
fn is_turned_away(error: &hyper::Error) -> bool {
    let Some(error) = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>()) else {
        return false;
    };
    let is_leaving = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
    let is_refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    error.is_remote() && (is_leaving || is_refused)
}

// ---- Body ----

impl Body {
    /// The next piece; none at the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        poll_fn(|context| self.poll_chunk(context)).await
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Failure>> {
        loop {
            let frame = match &mut self.carrier {
                Carrier::Line { line: Some(line), .. } => {
                    let frame = ready!(line.poll_frame(&mut self.incoming, context));
                    frame.transpose().map_err(|failure| match failure {
                        line::Failure::Broken(error) | line::Failure::Unsent(_, error) => {
                            Failure::Http(error)
                        }
                        line::Failure::Ended => Failure::Ended,
                    })?
                }
                // The body was complete.
                Carrier::Line { line: None, .. } => return Poll::Ready(Ok(None)),
                Carrier::Shared { .. } => {
                    let frame = ready!(Pin::new(&mut self.incoming).poll_frame(context));
                    frame.transpose().map_err(Failure::Http)?
                }
            };
            let Some(frame) = frame else {
                self.complete();
                return Poll::Ready(Ok(None));
            };
            // Trailers mean nothing here.
            if let Ok(data) = frame.into_data() {
                if self.incoming.is_end_stream() {
                    self.complete();
                }
                return Poll::Ready(Ok(Some(data)));
            }
        }
    }

    /// How long it says it is.
    pub(super) fn announced(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    /// Whether there is no more of it.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.carrier, Carrier::Line { line: None, .. }) || self.incoming.is_end_stream()
    }

    fn complete(&mut self) {
        if let Carrier::Line { line, shelf } = &mut self.carrier
            && let Some(line) = line.take()
        {
            shelf.put(line);
        }
    }
}

impl Drop for Body {
    /// What was not read to its end ends with its connection, unless there is nothing left to read.
    fn drop(&mut self) {
        if self.incoming.is_end_stream() {
            self.complete();
        }
    }
}
