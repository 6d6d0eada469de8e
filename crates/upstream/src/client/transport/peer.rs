//! Where messages go, with every header that they carry.

use std::sync::Arc;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use toolplane_registry::protocol::{Revision, STATELESS};

use super::{PROTOCOL_VERSION, SESSION_ID};
use crate::client::{Target, identity};
use crate::connector::{Destination, Secured};

/// Where messages go, with every header they carry.
#[derive(Debug, Clone)]
pub(in crate::client) struct Peer {
    url: Arc<str>,
    pub(super) headers: HeaderMap,
    tls: Option<Secured>,
}

impl Peer {
    pub(in crate::client) fn new(target: &Target) -> Self {
        Self::with(target, target.headers.clone())
    }

    /// The same for what outlives the call that caused it.
    pub(in crate::client) fn lasting(target: &Target) -> Self {
        Self::with(target, identity::lasting(&target.headers))
    }

    fn with(target: &Target, mut headers: HeaderMap) -> Self {
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { url: target.url.as_str().into(), headers, tls: target.tls.clone() }
    }

    pub(super) fn destination(&self) -> Destination<'_> {
        Destination { url: &self.url, tls: self.tls.as_ref() }
    }

    /// Speaks the stateless revision.
    pub(in crate::client) fn stateless(mut self) -> Self {
        self.headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(STATELESS));
        self
    }

    pub(super) fn is_stateless(&self) -> bool {
        self.headers.get(PROTOCOL_VERSION).is_some_and(|revision| revision == STATELESS)
    }

    /// Adds headers of one request.
    pub(in crate::client) fn mirroring(mut self, add: impl FnOnce(&mut HeaderMap)) -> Self {
        add(&mut self.headers);
        self
    }

    /// Adds what the handshake settled.
    pub(in crate::client) fn settled(mut self, revision: Revision, session_id: Option<HeaderValue>) -> Self {
        self.headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(revision.as_str()));
        if let Some(mut id) = session_id {
            id.set_sensitive(true);
            self.headers.insert(SESSION_ID, id);
        }
        self
    }
}
