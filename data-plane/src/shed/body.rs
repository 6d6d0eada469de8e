//! Bodies that are counted: a request's while it arrives, an answer's until it is sent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::body::HttpBody;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::Ticket;

/// Pieces of an answer from this size on count until they are written out; smaller ones until they are handed over.
const LARGE: usize = 16 << 10;

/// A request's body. It breaks off where there is no room for more.
pub(super) struct Counted {
    inner: Body,
    ticket: Arc<Ticket>,
}

/// An answer's body, which keeps its request counted until it is gone.
pub(super) struct Held {
    inner: Body,
    ticket: Arc<Ticket>,
}

/// A piece of an answer. A caller that reads slowly has it wait in the connection, long after the body has ended.
struct Piece {
    data: Bytes,
    _ticket: Arc<Ticket>,
}

/// Why a body breaks off. Nobody reads it: the request is refused as a whole.
#[derive(Debug, thiserror::Error)]
#[error("there is no room for the body")]
struct NoRoom;

impl Counted {
    pub(super) fn new(inner: Body, ticket: Arc<Ticket>) -> Self {
        Self { inner, ticket }
    }
}

impl Held {
    pub(super) fn new(inner: Body, ticket: Arc<Ticket>) -> Self {
        Self { inner, ticket }
    }
}

impl Held {
    /// Keeps the request counted for as long as somebody has the piece.
    fn kept(&self, data: Bytes) -> Bytes {
        if data.len() < LARGE {
            return data;
        }
        Bytes::from_owner(Piece { data, _ticket: Arc::clone(&self.ticket) })
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && !self.ticket.hold(data.len())
        {
            return Poll::Ready(Some(Err(axum::Error::new(NoRoom))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(context));
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(|data| self.kept(data)))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
