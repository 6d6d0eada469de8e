//! An answer's body, which keeps its request counted until it is taken.
//!
//! A large one is handed over in pieces, each when the one before has gone its way, so that what waits for a slow
//! reader waits here, where it can be given up; and it does not end before its last piece has been written out.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use futures::task::AtomicWaker;
use http_body::{Frame, SizeHint};

use super::Ticket;
use super::turn::Turn;

/// Pieces of an answer from this size on count until they are written out; smaller ones until they are handed over. A
/// connection without streams has one answer at a time.
const LARGE: usize = 16 << 10;
/// The same for a stream, of which a connection has many.
const LARGE_FOR_A_STREAM: usize = 1 << 10;
/// How much is handed over at once.
const PIECE: usize = 32 << 10;

/// An answer's body that is handed over whole.
struct Brief {
    inner: Body,
    _ticket: Arc<Ticket>,
}

/// An answer's body that is large, or comes little by little.
struct Held {
    inner: Body,
    large: usize,
    /// What is left of a piece that was too large.
    rest: Bytes,
    out: Arc<Out>,
}

/// What was handed over and waits in the connection.
struct Out {
    pieces: AtomicUsize,
    /// Whoever waits for it to become none.
    waiting: AtomicWaker,
    turn: Option<Arc<Turn>>,
    _ticket: Arc<Ticket>,
}

/// A piece of an answer. A caller that reads slowly has it wait in the connection.
struct Piece {
    data: Bytes,
    out: Arc<Out>,
}

/// Keeps the request counted until its answer is taken. The turn is that of the stream, where there are streams.
pub(super) fn keep(inner: Body, ticket: Arc<Ticket>, turn: Option<Arc<Turn>>) -> Body {
    let large = if turn.is_some() { LARGE_FOR_A_STREAM } else { LARGE };
    // What is small is taken at once, and not worth a clock.
    if inner.size_hint().exact().is_some_and(|size| size < large as u64) {
        return Body::new(Brief { inner, _ticket: ticket });
    }
    let out = Out { pieces: AtomicUsize::new(0), waiting: AtomicWaker::new(), turn, _ticket: ticket };
    out.to_reader();
    Body::new(Held { inner, large, rest: Bytes::new(), out: Arc::new(out) })
}

impl HttpBody for Brief {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Held {
    /// The next piece of what is at hand.
    fn piece(&mut self) -> Bytes {
        let data = self.rest.split_to(self.rest.len().min(PIECE));
        self.out.pieces.fetch_add(1, Ordering::Relaxed);
        Bytes::from_owner(Piece { data, out: Arc::clone(&self.out) })
    }

    /// Whether everything that was handed over is written out; whoever asks is woken once it is.
    fn is_out(&self, context: &Context<'_>) -> bool {
        self.out.waiting.register(context.waker());
        self.out.pieces.load(Ordering::Acquire) == 0
    }
}

impl Out {
    fn to_reader(&self) {
        if let Some(turn) = &self.turn {
            turn.to_reader();
        }
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.out.to_reader();
        self.out.pieces.fetch_sub(1, Ordering::Release);
        self.out.waiting.wake();
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match Pin::new(&mut self.inner).poll_frame(context) {
                Poll::Pending => {
                    if let (true, Some(turn)) = (self.is_out(context), &self.out.turn) {
                        turn.to_node();
                    }
                    return Poll::Pending;
                }
                Poll::Ready(None) if !self.is_out(context) => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if data.len() >= self.large => self.rest = data,
                    Ok(data) => {
                        self.out.to_reader();
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                ended @ Poll::Ready(_) => return ended,
            }
        }
        self.out.to_reader();
        Poll::Ready(Some(Ok(Frame::data(self.piece()))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream() && self.out.pieces.load(Ordering::Acquire) == 0
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}
