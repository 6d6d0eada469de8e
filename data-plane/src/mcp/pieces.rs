//! A message written in pieces, so that what is long and there already is not copied into it.
//!
//! Owns from which size on a document is a piece of its own. Never looks into one.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use toolplane_registry::RawJson;

/// A document from this size on is handed on as it is. Copying a shorter one costs less than another piece.
const OWN_PIECE: usize = 16 << 10;
/// Room for what is written at first: most answers are no longer.
const USUAL: usize = 512;

/// What is written so far.
#[derive(Debug)]
pub(super) struct Pieces {
    done: Vec<Bytes>,
    open: Vec<u8>,
}

/// A document as bytes, for as long as somebody needs them.
struct Shared(RawJson);

/// A body of several pieces.
struct InPieces {
    rest: std::vec::IntoIter<Bytes>,
    /// How much that is.
    left: u64,
}

// ---- Pieces ----

impl Pieces {
    pub(super) fn new() -> Self {
        Self { done: Vec::new(), open: Vec::with_capacity(USUAL) }
    }

    /// Writes a text as it is.
    pub(super) fn put(&mut self, text: &str) {
        self.open.extend_from_slice(text.as_bytes());
    }

    /// Writes a text as a JSON string.
    #[expect(clippy::expect_used, reason = "a text is always JSON, and memory takes any write")]
    pub(super) fn string(&mut self, text: &str) {
        // Nearly always enough for what is escaped and what follows, so that it grows once.
        self.open.reserve(text.len() + text.len() / 8 + 64);
        serde_json::to_writer(&mut self.open, text).expect("a text is JSON");
    }

    /// Writes a document. A long one is shared.
    pub(super) fn document(&mut self, document: &RawJson) {
        if document.as_str().len() < OWN_PIECE {
            return self.put(document.as_str());
        }
        self.close();
        self.done.push(Bytes::from_owner(Shared(document.clone())));
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.done.push(std::mem::take(&mut self.open).into());
        }
    }

    /// All of it as a body.
    pub(super) fn into_body(mut self) -> Body {
        if self.done.is_empty() {
            return Body::from(self.open);
        }
        self.close();
        let left = self.done.iter().map(|piece| piece.len() as u64).sum();
        Body::new(InPieces { rest: self.done.into_iter(), left })
    }

    /// All of it in one.
    pub(super) fn concat(mut self) -> Vec<u8> {
        if self.done.is_empty() {
            return self.open;
        }
        self.close();
        self.done.concat()
    }
}

impl From<Vec<u8>> for Pieces {
    fn from(open: Vec<u8>) -> Self {
        Self { done: Vec::new(), open }
    }
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_str().as_bytes()
    }
}

// ---- InPieces ----

impl HttpBody for InPieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = self.rest.next();
        self.left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use http_body_util::BodyExt as _;

    use super::*;

    fn written(lengths: &[usize]) -> (Pieces, String) {
        let (mut pieces, mut expected) = (Pieces::new(), String::new());
        for length in lengths {
            let document = format!("\"{}\"", "x".repeat(*length));
            pieces.put("[");
            pieces.document(&RawJson::parse(&document).unwrap());
            pieces.string("a\n");
            expected.push_str(&["[", &document, r#""a\n""#].concat());
        }
        (pieces, expected)
    }

    #[test]
    fn whatever_is_shared_all_of_it_is_there_and_its_length_is_known() {
        for lengths in [&[][..], &[1], &[OWN_PIECE], &[OWN_PIECE, 1, 2 * OWN_PIECE], &[1, OWN_PIECE]] {
            let (pieces, expected) = written(lengths);
            assert_eq!(pieces.concat(), expected.as_bytes());
            let body = written(lengths).0.into_body();
            assert_eq!(body.size_hint().exact(), Some(expected.len() as u64), "{lengths:?}");
            let collected = body.collect().now_or_never().unwrap().unwrap();
            assert_eq!(collected.to_bytes(), expected);
        }
    }

    #[test]
    fn a_long_document_is_not_copied() {
        let document = RawJson::parse(&format!("\"{}\"", "x".repeat(OWN_PIECE))).unwrap();
        let mut pieces = Pieces::new();
        pieces.document(&document);
        pieces.document(&document);
        let places: Vec<_> = pieces.done.iter().map(|piece| piece.as_ptr()).collect();
        assert_eq!(places, [document.as_str().as_ptr(); 2]);
    }
}
