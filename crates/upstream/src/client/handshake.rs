//! The handshake of the older revisions, and the sessions that some upstreams issue in it.
//!
//! Owns opening and ending. Who may use a session is decided in [`super::session`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderValue;
use toolplane_registry::protocol::{Protocol, Revision};

use super::message;
use super::transport::{Peer, Transport};
use crate::Error;

/// What a handshake settled.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) revision: Revision,
    pub(super) server_name: Option<Arc<str>>,
    pub(super) session: Option<Arc<Session>>,
}

/// A session that the upstream keeps for us; dropping it ends it there too, in the background.
#[derive(Debug)]
pub(super) struct Session {
    transport: Arc<Transport>,
    peer: Peer,
    id: HeaderValue,
    /// The upstream does not know it any more: there is nothing to end.
    lost: AtomicBool,
}

/// Introduces us to an upstream.
pub(super) async fn open(transport: &Arc<Transport>, peer: Peer) -> Result<Opened, Error> {
    let id = transport.next_id();
    let body = message::write(Some(id), "initialize", Some(&message::initialize_params()))?;
    let reply = transport.request(&peer, id, body).await?;
    let message::Introduction { revision, server_name } = message::parse_introduction(&reply.result)?;
    let peer = peer.settled(revision, reply.session_id.clone());
    let session = reply.session_id.map(|id| {
        let lost = AtomicBool::new(false);
        Arc::new(Session { transport: Arc::clone(transport), peer: peer.clone(), id, lost })
    });
    transport.notify(&peer, "notifications/initialized", None).await?;
    Ok(Opened { revision, server_name: server_name.map(Arc::from), session })
}

impl Opened {
    /// What was settled before, by somebody else, with an upstream that keeps no sessions.
    pub(super) fn known(revision: Revision) -> Self {
        Self { revision, server_name: None, session: None }
    }

    pub(super) fn protocol(&self) -> Protocol {
        Protocol::Handshake { revision: self.revision, sessions: self.session.is_some() }
    }

    /// Notes that the upstream has forgotten the session.
    pub(super) fn lose(&self) {
        if let Some(session) = &self.session {
            session.lost.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn session_id(&self) -> Option<HeaderValue> {
        self.session.as_ref().map(|session| session.id.clone())
    }

    /// Whether both are the same session.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (&self.session, &other.session) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if *self.lost.get_mut() {
            return;
        }
        let (transport, peer) = (Arc::clone(&self.transport), self.peer.clone());
        self.transport.in_background(async move {
            if let Err(error) = transport.delete(&peer).await {
                tracing::debug!(%error, "a session was not closed");
            }
        });
    }
}
