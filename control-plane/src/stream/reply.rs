//! The answer of `Subscribe`, written from shared bytes.
//!
//! What tonic generates takes the request, with its limits and refusals; only the body of a stream that was opened is
//! ours. tonic's own keeps a buffer per stream, as large as the largest message it ever sent.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::mpsc;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use toolplane_proto::sync::sync_service_server::SyncServiceServer;

use super::Service;
use super::frames::Frames;

/// What is to be said on a stream: messages, and a status at most once, at its end.
pub(super) type Outgoing = mpsc::Receiver<Result<Frames, Status>>;

/// Hands what is to be said through tonic; an extension has to be cloned.
#[derive(Debug, Clone)]
pub(super) struct Ticket(Arc<Mutex<Option<Outgoing>>>);

/// The sync service as it is mounted.
#[derive(Debug, Clone)]
pub struct Server(SyncServiceServer<Service>);

impl Ticket {
    pub(super) fn new(outgoing: Outgoing) -> Self {
        Self(Arc::new(Mutex::new(Some(outgoing))))
    }

    fn redeem(&self) -> Option<Outgoing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Server {
    /// Mounts the service; no message of a node may be longer than the limit.
    pub fn new(service: Service, max_request: usize) -> Self {
        Self(SyncServiceServer::new(service).max_decoding_message_size(max_request))
    }
}

impl NamedService for Server {
    const NAME: &'static str = SyncServiceServer::<Service>::NAME;
}

impl tower::Service<Request<Body>> for Server {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        tower::Service::<Request<Body>>::poll_ready(&mut self.0, context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answered = self.0.call(request);
        Box::pin(async move {
            let mut response = answered.await?;
            let outgoing = response.extensions_mut().remove::<Ticket>().and_then(|ticket| ticket.redeem());
            Ok(match outgoing {
                Some(outgoing) => response.map(|_| Body::new(StreamBody::new(frames(outgoing)))),
                // It was refused.
                None => response,
            })
        })
    }
}

/// What goes over HTTP/2: the pieces of each message, then the status.
fn frames(outgoing: Outgoing) -> impl Stream<Item = Result<Frame<bytes::Bytes>, Status>> + Send {
    stream::unfold(Some(outgoing), |outgoing| async move {
        let mut outgoing = outgoing?;
        match outgoing.recv().await {
            Some(Ok(frames)) => {
                let pieces = stream::iter(frames.into_pieces().map(Frame::data).map(Ok));
                Some((pieces.boxed(), Some(outgoing)))
            }
            Some(Err(status)) => Some((last(&status), None)),
            None => Some((last(&Status::ok("")), None)),
        }
    })
    .flatten()
}

fn last(status: &Status) -> BoxStream<'static, Result<Frame<bytes::Bytes>, Status>> {
    let mut trailers = HeaderMap::new();
    let added = status.add_header(&mut trailers);
    stream::iter([added.map(|()| Frame::trailers(trailers))]).boxed()
}
