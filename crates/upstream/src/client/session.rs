//! Sessions: the handshake, who may share one, and closing them.
//!
//! Three kinds of upstream behaviour meet two modes:
//!
//! * An upstream that issues no session id is remembered, so that the next call is one POST.
//! * One that does gets, in isolated mode, a session per call: nothing a caller leaves there is seen by another.
//! * In shared mode calls with the same headers share one, opened once however many wait for it.
//!
//! A [`Lease`] is all a call sees. Sessions opened ahead of need would be handed out by [`Sessions::acquire`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderValue;
use serde::Serialize;
use tokio::sync::OnceCell;
use toolplane_registry::Digest;
use toolplane_registry::digest::Hasher;
use toolplane_registry::upstream::SessionMode;

use super::Target;
use super::message::{self, Raw};
use super::transport::{Peer, Transport};
use crate::Error;

/// Headers that differ from call to call and say nothing of who calls. All others tell sessions apart.
const PER_CALL_HEADERS: [&str; 6] =
    ["traceparent", "tracestate", "baggage", "b3", "x-request-id", "x-correlation-id"];

/// Hands out sessions and remembers what can be used again.
#[derive(Debug)]
pub(super) struct Sessions {
    transport: Arc<Transport>,
    /// Upstreams that issued no session id, by address and configuration.
    sessionless: Mutex<HashMap<Digest, Arc<Handshake>>>,
    /// Shared sessions, by address, configuration and headers. A cell is filled by one call while others wait.
    shared: Mutex<HashMap<Digest, Arc<OnceCell<Opened>>>>,
}

/// The right to send requests to an upstream, in a session or without one.
#[derive(Debug)]
pub(super) struct Lease {
    transport: Arc<Transport>,
    peer: Peer,
    handshake: Arc<Handshake>,
    session: Option<Arc<Session>>,
    place: Place,
}

/// Where a lease came from.
#[derive(Debug)]
enum Place {
    Fresh,
    Sessionless(Digest),
    Shared(Digest),
}

/// What the handshake settled.
#[derive(Debug)]
struct Handshake {
    protocol_version: HeaderValue,
    server_name: Option<String>,
}

#[derive(Debug, Clone)]
struct Opened {
    handshake: Arc<Handshake>,
    session: Option<Arc<Session>>,
}

/// A session that the upstream keeps for us; dropping it ends it there too, in the background.
#[derive(Debug)]
struct Session {
    transport: Arc<Transport>,
    peer: Peer,
    id: HeaderValue,
    /// The upstream does not know it any more: there is nothing to end.
    lost: AtomicBool,
}

/// A request under way. Dropped before its answer, it tells the upstream that nobody waits any more.
struct InFlight<'a> {
    lease: &'a Lease,
    id: u64,
    answered: bool,
}

// ---- Sessions ----

impl Sessions {
    pub(super) fn new(transport: Arc<Transport>) -> Self {
        Self { transport, sessionless: Mutex::default(), shared: Mutex::default() }
    }

    /// Finds or opens what a call to `target` needs.
    pub(super) async fn acquire(&self, target: &Target) -> Result<Lease, Error> {
        let key = upstream_key(target);
        let remembered = lock(&self.sessionless).get(&key).cloned();
        if let Some(handshake) = remembered {
            let opened = Opened { handshake, session: None };
            return Ok(self.lease(target, opened, Place::Sessionless(key)));
        }
        let (opened, place) = match target.session_mode {
            SessionMode::Isolated => (self.open(target).await?, Place::Fresh),
            SessionMode::Shared => self.share(target).await?,
        };
        if opened.session.is_none() {
            self.insert(&self.sessionless, key, Arc::clone(&opened.handshake));
        }
        Ok(self.lease(target, opened, place))
    }

    /// Forgets what a lease came from, unless somebody has replaced it already.
    pub(super) fn forget(&self, lease: &Lease) {
        match &lease.place {
            Place::Fresh => {}
            Place::Sessionless(key) => {
                let mut sessionless = lock(&self.sessionless);
                if sessionless.get(key).is_some_and(|held| Arc::ptr_eq(held, &lease.handshake)) {
                    sessionless.remove(key);
                }
            }
            Place::Shared(key) => {
                if let Some(session) = &lease.session {
                    session.lost.store(true, Ordering::Relaxed);
                }
                self.drop_shared(*key, &lease.handshake);
            }
        }
    }

    /// Ends all shared sessions.
    pub(super) fn clear(&self) {
        let held = std::mem::take(&mut *lock(&self.shared));
        drop(held);
    }

    async fn share(&self, target: &Target) -> Result<(Opened, Place), Error> {
        let key = identity_key(target);
        let known = lock(&self.shared).get(&key).cloned();
        let cell = known.unwrap_or_else(|| self.insert(&self.shared, key, Arc::default()));
        let mut is_fresh = false;
        let opening = async {
            is_fresh = true;
            self.open(target).await
        };
        let opened = cell.get_or_try_init(|| opening).await?.clone();
        if opened.session.is_none() {
            self.drop_shared(key, &opened.handshake);
        }
        Ok((opened, if is_fresh { Place::Fresh } else { Place::Shared(key) }))
    }

    async fn open(&self, target: &Target) -> Result<Opened, Error> {
        let transport = &self.transport;
        let peer = Peer::new(&target.url, &target.headers);
        let answer = transport
            .request(&peer, transport.next_id(), "initialize", &message::initialize_params())
            .await?;
        let introduction = message::parse_introduction(&answer.result)?;
        let protocol_version = HeaderValue::try_from(introduction.protocol_version)
            .map_err(|_| Error::Protocol("the protocol version is not a header value".to_owned()))?;
        let peer = peer.settled(protocol_version.clone(), answer.session_id.clone());
        let session = answer.session_id.map(|id| {
            let lost = AtomicBool::new(false);
            Arc::new(Session { transport: Arc::clone(transport), peer: peer.clone(), id, lost })
        });
        transport.notify(&peer, "notifications/initialized", None).await?;
        let handshake = Handshake { protocol_version, server_name: introduction.server_name };
        Ok(Opened { handshake: Arc::new(handshake), session })
    }

    fn lease(&self, target: &Target, opened: Opened, place: Place) -> Lease {
        let Opened { handshake, session } = opened;
        // The headers are those of this call: a remembered handshake may stem from another caller.
        let id = session.as_ref().map(|session| session.id.clone());
        let peer = Peer::new(&target.url, &target.headers).settled(handshake.protocol_version.clone(), id);
        Lease { transport: Arc::clone(&self.transport), peer, handshake, session, place }
    }

    /// Remembers a value, or returns the one that came first. Where there is no room an arbitrary one goes,
    /// which costs its next user a handshake.
    fn insert<T>(&self, map: &Mutex<HashMap<Digest, Arc<T>>>, key: Digest, value: Arc<T>) -> Arc<T> {
        let mut evicted = None;
        let mut map = lock(map);
        if map.len() >= self.transport.options().max_remembered && !map.contains_key(&key) {
            evicted = map.keys().next().copied().and_then(|key| map.remove(&key));
        }
        let kept = Arc::clone(map.entry(key).or_insert(value));
        drop(map);
        // Outside the lock: dropping a session starts a task.
        drop(evicted);
        kept
    }

    fn drop_shared(&self, key: Digest, handshake: &Arc<Handshake>) {
        let mut shared = lock(&self.shared);
        let is_same = shared
            .get(&key)
            .and_then(|cell| cell.get())
            .is_some_and(|opened| Arc::ptr_eq(&opened.handshake, handshake));
        let removed = if is_same { shared.remove(&key) } else { None };
        drop(shared);
        drop(removed);
    }
}

// ---- Lease ----

impl Lease {
    /// Sends one request and waits for its result.
    pub(super) async fn request(&self, method: &str, params: &(impl Serialize + Sync)) -> Result<Raw, Error> {
        let id = self.transport.next_id();
        let mut in_flight = InFlight { lease: self, id, answered: false };
        let outcome = self.transport.request(&self.peer, id, method, params).await;
        in_flight.answered = true;
        outcome.map(|answer| answer.result)
    }

    /// Whether it rests on an earlier handshake, which the upstream may have forgotten.
    pub(super) fn is_reused(&self) -> bool {
        !matches!(self.place, Place::Fresh)
    }

    pub(super) fn server_name(&self) -> Option<&str> {
        self.handshake.server_name.as_deref()
    }
}

// ---- Session and InFlight ----

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

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        // Without a session the upstream could not tell whose request is meant.
        if self.answered || self.lease.session.is_none() {
            return;
        }
        let (transport, peer) = (Arc::clone(&self.lease.transport), self.lease.peer.clone());
        let params = serde_json::json!({"requestId": self.id, "reason": "the caller is gone"});
        self.lease.transport.in_background(async move {
            if let Err(error) = transport.notify(&peer, "notifications/cancelled", Some(&params)).await {
                tracing::debug!(%error, "a cancellation was not delivered");
            }
        });
    }
}

fn upstream_key(target: &Target) -> Digest {
    Hasher::default().text(&target.url).text(&target.config_id).finish()
}

/// Tells callers apart: by everything they send except what differs from call to call.
fn identity_key(target: &Target) -> Digest {
    let mut headers: Vec<(&str, &[u8])> = target
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .filter(|(name, _)| !PER_CALL_HEADERS.contains(name))
        .collect();
    headers.sort_unstable();
    let mut hasher = Hasher::default().text(&target.url).text(&target.config_id);
    for (name, value) in headers {
        hasher = hasher.text(name).field(value);
    }
    hasher.finish()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
