//! A response whose body is still to be read, in bounded steps.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response as Head};
use tokio::time::{Instant, timeout_at};

use super::exchange::Body;
use super::failure;
use super::room::{Room, Share};
use crate::Error;

/// How much of an announced body is believed in before it arrives.
const MAX_TRUSTED_BYTES: usize = 256 << 10;

/// A response whose body is still to be read, in bounded steps.
pub(crate) struct Response {
    head: Head<()>,
    body: Body,
    read: usize,
    limits: Limits,
    share: Share,
}

/// What bounds the reading.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    /// Longest pause between two pieces.
    pub(super) idle: Option<Duration>,
    /// The end of the whole exchange.
    pub(super) until: Instant,
}

impl Response {
    pub(super) fn new(response: Head<Body>, limits: Limits) -> Self {
        let (head, body) = response.into_parts();
        Self { head: Head::from_parts(head, ()), body, read: 0, limits, share: Share::default() }
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.status().as_u16()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.head.headers()
    }

    /// Lowers how much may be read.
    pub(crate) fn limit_to(&mut self, limit: usize) {
        self.limits.bytes = self.limits.bytes.min(limit);
    }

    /// Has what is held of the body counted, from here on.
    pub(crate) fn count_in(&mut self, room: Arc<dyn Room>) {
        self.share = Share::of(room);
    }

    /// Notes how much of the body its reader holds, or is about to.
    pub(crate) fn hold(&mut self, held: usize) -> Result<(), Error> {
        self.share.hold(held)
    }

    /// What is held has become somebody else's; nothing that follows is counted.
    pub(crate) fn hand_on(&mut self) {
        self.share.hand_on();
    }

    /// The next piece of the body.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let Limits { bytes, idle, until } = self.limits;
        let by = idle.map_or(until, |idle| until.min(Instant::now() + idle));
        let Ok(part) = timeout_at(by, self.body.chunk()).await else { return Err(Error::Timeout) };
        let Some(chunk) = part.map_err(|failure| failure::classify(&failure, false))? else {
            return Ok(None);
        };
        self.read = self.read.saturating_add(chunk.len());
        if self.read > bytes {
            return Err(self.too_large());
        }
        Ok(Some(chunk))
    }

    /// The rest of the body.
    pub(crate) async fn bytes(&mut self) -> Result<Bytes, Error> {
        let announced = usize::try_from(self.body.announced().unwrap_or(0)).unwrap_or(usize::MAX);
        if announced > self.limits.bytes {
            return Err(self.too_large());
        }
        let Some(first) = self.chunk().await? else {
            self.hand_on();
            return Ok(Bytes::new());
        };
        self.hold(first.len())?;
        if self.body.is_complete() {
            self.hand_on();
            return Ok(first);
        }
        // What is announced is not yet sent: memory grows with what arrives.
        let mut body = Vec::with_capacity(announced.clamp(first.len(), first.len().max(MAX_TRUSTED_BYTES)));
        body.extend_from_slice(&first);
        drop(first);
        while let Some(chunk) = self.chunk().await? {
            self.hold(body.len() + chunk.len())?;
            body.extend_from_slice(&chunk);
        }
        self.hand_on();
        Ok(body.into())
    }

    fn too_large(&self) -> Error {
        Error::TooLarge { limit: self.limits.bytes, unit: "bytes" }
    }
}
