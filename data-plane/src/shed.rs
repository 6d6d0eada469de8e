//! Load shedding: what a node does not take on, it says at once, before it costs memory.
//!
//! # Responsibilities
//!
//! * Counting requests in flight, and the bytes that are held for them: of their bodies, of large replies of upstreams
//!   while they are read, and of answers until they are written out.
//! * Refusing what is beyond with 503, `Retry-After` and the code `overloaded`. A call whose reply does not fit has run:
//!   its caller is told so, by the same code, in a result that no load balancer repeats.
//! * Keeping one connection to its share of these bytes, so that a caller that does not take its answers is refused
//!   before others are.
//! * Counting connections; those beyond the limit are served for one request, which is refused unless it is a probe.
//!
//! # Not here
//!
//! Probes never ask. What one upstream may hold is the business of `toolplane_upstream::limits`.

mod body;
mod client;
mod held;
mod refusal;
mod ticket;
mod turn;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use axum::body::{Body, HttpBody as _};
use axum::extract::State;
use axum::middleware::Next;
use axum::response::Response;
use http::{Request, header};

use toolplane_upstream::connector::Room;

use self::ticket::Ticket;
use crate::mcp::stream::EndsWithCall;
use crate::options::Capacity;

pub(crate) use self::body::Counted;
pub(crate) use self::client::{Client, Purse};
pub(crate) use self::refusal::Wording;
pub(crate) use self::turn::Turn;

/// Counts what a node has taken on. Clones count together.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    capacity: Capacity,
    connections: AtomicUsize,
    requests: AtomicUsize,
    bytes: AtomicUsize,
    refused_connections: AtomicU64,
    refused_requests: AtomicU64,
    refused_bodies: AtomicU64,
    refused_replies: AtomicU64,
}

/// What a node has taken on, and what it has refused since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Open connections, those beyond the limit not included.
    pub connections: usize,
    /// Requests in flight.
    pub requests: usize,
    /// Bytes held for them.
    pub buffered_bytes: usize,
    /// Connections beyond the limit.
    pub refused_connections: u64,
    /// Requests beyond the limit.
    pub refused_requests: u64,
    /// Requests whose body was beyond the limit.
    pub refused_bodies: u64,
    /// Replies of upstreams that were beyond the limit.
    pub refused_replies: u64,
}

/// A place among the connections.
#[derive(Debug)]
pub(crate) struct Seat(Arc<Counts>);

// ---- Gate ----

impl Gate {
    pub(crate) fn new(capacity: Capacity) -> Self {
        let none = || AtomicUsize::new(0);
        let counts = Counts {
            capacity,
            connections: none(),
            requests: none(),
            bytes: none(),
            refused_connections: AtomicU64::new(0),
            refused_requests: AtomicU64::new(0),
            refused_bodies: AtomicU64::new(0),
            refused_replies: AtomicU64::new(0),
        };
        Self(Arc::new(counts))
    }

    /// How much it may take on.
    pub fn capacity(&self) -> Capacity {
        self.0.capacity
    }

    /// What the node has taken on.
    pub fn load(&self) -> Load {
        let counts = &*self.0;
        Load {
            connections: counts.connections.load(Ordering::Relaxed),
            requests: counts.requests.load(Ordering::Relaxed),
            buffered_bytes: counts.bytes.load(Ordering::Relaxed),
            refused_connections: counts.refused_connections.load(Ordering::Relaxed),
            refused_requests: counts.refused_requests.load(Ordering::Relaxed),
            refused_bodies: counts.refused_bodies.load(Ordering::Relaxed),
            refused_replies: counts.refused_replies.load(Ordering::Relaxed),
        }
    }

    /// A place for a connection, if there is one.
    pub(crate) fn seat(&self) -> Option<Seat> {
        let counts = &self.0;
        if take(&counts.connections, 1, counts.capacity.max_connections) {
            return Some(Seat(Arc::clone(counts)));
        }
        counts.refused_connections.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// A place for a connection in the place of one that is leaving.
    pub(crate) fn seat_of_leaver(&self) -> Seat {
        self.0.connections.fetch_add(1, Ordering::Relaxed);
        Seat(Arc::clone(&self.0))
    }

    /// Whether there is no place for another connection.
    pub(crate) fn is_full(&self) -> bool {
        self.0.connections.load(Ordering::Relaxed) >= self.0.capacity.max_connections
    }

    fn ticket(&self, purse: Purse) -> Option<Arc<Ticket>> {
        let counts = &self.0;
        if take(&counts.requests, 1, counts.capacity.max_requests) {
            return Some(Ticket::new(counts, purse));
        }
        counts.refused_requests.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// Adds to a count that must not pass `most`.
fn take(count: &AtomicUsize, more: usize, most: usize) -> bool {
    let within = |held: usize| held.checked_add(more).filter(|sum| *sum <= most);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

// ---- the way through ----

impl Gate {
    /// Lets a request through, if there is room, and counts it until its answer is sent. `next` is told where replies to
    /// it have to fit in.
    pub(crate) async fn pass<B, F: Future<Output = Response>>(
        &self,
        wording: Wording,
        client: Client,
        request: Request<B>,
        next: impl FnOnce(Request<Counted<B>>, Arc<dyn Room>) -> F,
    ) -> Response {
        let Client { purse, turn, is_beyond, peer: _ } = client;
        if is_beyond {
            return wording.refusal("this node has as many connections as it can serve");
        }
        if purse.is_full(self.capacity().connection_share()) {
            self.0.refused_requests.fetch_add(1, Ordering::Relaxed);
            return wording
                .refusal("requests on this connection hold as much of this node as one connection may");
        }
        let Some(ticket) = self.ticket(purse) else {
            return wording.refusal("this node has as many requests as it can work on");
        };
        let request = request.map(|body| Counted::new(body, Arc::clone(&ticket)));
        let response = next(request, Arc::clone(&ticket) as Arc<dyn Room>).await;
        if ticket.has_overrun() {
            return wording.refusal("this node holds as much of other requests as it can");
        }
        if is_endless(&response) {
            // A subscription lasts as long as its client likes and holds nothing.
            return response;
        }
        // The size of an event stream is not known, so the reply that goes into it counts to its end.
        if let Some(size) = response.body().size_hint().exact() {
            ticket.answered(usize::try_from(size).unwrap_or(usize::MAX));
        }
        response.map(|body| held::keep(body, ticket, turn))
    }
}

/// The same as a layer of routes.
pub(crate) async fn admit(
    State((gate, wording)): State<(Gate, Wording)>,
    mut request: Request<Body>,
    next: Next,
) -> Response {
    let client = request.extensions_mut().remove().unwrap_or_default();
    gate.pass(wording, client, request, |request, _| next.run(request.map(Body::new))).await
}

fn is_endless(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_stream = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
    is_stream && response.extensions().get::<EndsWithCall>().is_none()
}

#[cfg(test)]
mod tests;
