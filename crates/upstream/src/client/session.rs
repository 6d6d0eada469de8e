//! Who may send requests to an upstream, and in which session.
//!
//! * An upstream of the stateless revision, or one that issues no session id, needs nothing: every call is one
//!   request on a shared connection.
//! * One that issues session ids gets, in isolated mode, a session per call, opened ahead of need where the caller
//!   is known ([`super::spares`]): nothing a caller leaves there is seen by another.
//! * In shared mode calls with the same headers share one, opened once however many wait for it.
//!
//! A [`Lease`] is all a call sees. Which of these an upstream is, the control plane found out and the target says;
//! what calls find to be otherwise is remembered until the upstream's configuration changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OnceCell, watch};
use toolplane_registry::Digest;
use toolplane_registry::protocol::Protocol;
use toolplane_registry::upstream::SessionMode;

use super::Target;
use super::era::Step;
use super::handshake::{self, Opened};
use super::identity::{self, Identity};
use super::message::{Ask, Raw};
use super::spares::{SpareSessions, Spares};
use super::transport::{Peer, Transport};
use crate::Error;

/// Hands out leases and remembers what can be used again.
#[derive(Debug)]
pub(super) struct Sessions {
    transport: Arc<Transport>,
    /// How upstreams turned out to speak, where they do otherwise than their targets say.
    learned: Mutex<HashMap<Digest, Protocol>>,
    /// Shared sessions, by caller. A cell is filled by one call while others wait.
    shared: Mutex<HashMap<Digest, Arc<OnceCell<Opened>>>>,
    spares: Spares,
}

/// The right to send requests to an upstream, in a session or without one.
#[derive(Debug)]
pub(super) struct Lease {
    transport: Arc<Transport>,
    peer: Peer,
    /// Absent in the stateless revision.
    opened: Option<Opened>,
    place: Place,
}

/// Where a lease came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A handshake was made for it.
    Fresh,
    /// It needed none.
    Known,
    Shared(Digest),
    Spare(Identity),
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
        let spares = Spares::new(Arc::clone(&transport));
        Self { transport, learned: Mutex::default(), shared: Mutex::default(), spares }
    }

    /// How the upstream speaks, as far as anybody knows.
    pub(super) fn protocol(&self, target: &Target) -> Protocol {
        let learned = lock(&self.learned);
        // Nothing is learned of nearly all of them.
        if learned.is_empty() {
            return target.protocol;
        }
        learned.get(&identity::upstream(target)).copied().unwrap_or(target.protocol)
    }

    /// Remembers how the upstream speaks, where its target says something else.
    pub(super) fn learn(&self, target: &Target, protocol: Protocol) {
        let mut learned = lock(&self.learned);
        if protocol == target.protocol && learned.is_empty() {
            return;
        }
        let key = identity::upstream(target);
        if protocol == target.protocol {
            learned.remove(&key);
            return;
        }
        if learned.get(&key) == Some(&protocol) {
            return;
        }
        if let Some(domain) = &target.domain {
            tracing::info!(upstream.domain = %domain, %protocol, told = %target.protocol, "`{domain}` speaks otherwise than was told");
        }
        make_room(&mut learned, &key, self.transport.options().max_remembered);
        learned.insert(key, protocol);
    }

    /// Finds or opens what a call needs, given how the upstream speaks.
    pub(super) async fn acquire(&self, target: &Target, protocol: Protocol) -> Result<Lease, Error> {
        match protocol {
            Protocol::Stateless => Ok(self.stateless(target)),
            Protocol::Handshake { revision, sessions: false } => {
                Ok(self.lease(target, Opened::known(revision), Place::Known))
            }
            Protocol::Unknown | Protocol::Handshake { sessions: true, .. } => match target.session_mode {
                SessionMode::Isolated => Box::pin(self.isolate(target)).await,
                SessionMode::Shared => Box::pin(self.share(target)).await,
            },
        }
    }

    /// A lease in a session of its own, by a handshake made now.
    pub(super) async fn fresh(&self, target: &Target) -> Result<Lease, Error> {
        let opened = Box::pin(handshake::open(&self.transport, Peer::new(target))).await?;
        Ok(self.lease(target, opened, Place::Fresh))
    }

    /// A lease that needs no handshake.
    pub(super) fn stateless(&self, target: &Target) -> Lease {
        let peer = Peer::new(target).stateless();
        Lease { transport: Arc::clone(&self.transport), peer, opened: None, place: Place::Known }
    }

    /// Forgets what a lease came from, unless somebody has replaced it already.
    pub(super) fn forget(&self, lease: &Lease) {
        let Some(opened) = &lease.opened else { return };
        match &lease.place {
            Place::Fresh | Place::Known => {}
            Place::Spare(identity) => {
                opened.lose();
                self.spares.lose(identity);
            }
            Place::Shared(key) => {
                opened.lose();
                self.drop_shared(*key, opened);
            }
        }
    }

    /// How many sessions wait for a call.
    pub(super) fn spares(&self) -> watch::Receiver<usize> {
        self.spares.ready()
    }

    /// The same per upstream.
    pub(super) fn spares_by_domain(&self) -> SpareSessions {
        self.spares.by_domain()
    }

    /// Opens no more sessions ahead of need, and ends those that wait for a call.
    pub(super) fn close_spares(&self) {
        self.spares.close();
    }

    /// Ends every session that is held open.
    pub(super) fn clear(&self) {
        self.spares.close();
        let held = std::mem::take(&mut *lock(&self.shared));
        drop(held);
    }

    async fn isolate(&self, target: &Target) -> Result<Lease, Error> {
        let identity = Identity::of(target);
        let spare = self.spares.take(&identity);
        let lease = if let Some(opened) = spare {
            self.lease(target, opened, Place::Spare(identity))
        } else {
            let lease = self.fresh(target).await?;
            self.learn(target, lease.protocol());
            lease
        };
        if lease.opened.as_ref().is_some_and(|opened| opened.session.is_some()) {
            self.spares.refill(&identity, target);
        }
        Ok(lease)
    }

    async fn share(&self, target: &Target) -> Result<Lease, Error> {
        let key = Identity::of(target).caller;
        let cell = self.shared_cell(key);
        let mut is_fresh = false;
        let opening = async {
            is_fresh = true;
            Box::pin(handshake::open(&self.transport, Peer::new(target))).await
        };
        let opened = cell.get_or_try_init(|| opening).await?.clone();
        if is_fresh {
            self.learn(target, opened.protocol());
        }
        if opened.session.is_none() {
            lock(&self.shared).remove(&key);
        }
        Ok(self.lease(target, opened, if is_fresh { Place::Fresh } else { Place::Shared(key) }))
    }

    fn shared_cell(&self, key: Digest) -> Arc<OnceCell<Opened>> {
        let mut shared = lock(&self.shared);
        let evicted = make_room(&mut shared, &key, self.transport.options().max_remembered);
        let cell = Arc::clone(shared.entry(key).or_default());
        drop(shared);
        // Outside the lock: dropping a session starts a task.
        drop(evicted);
        cell
    }

    fn lease(&self, target: &Target, opened: Opened, place: Place) -> Lease {
        // The headers are those of this call: a remembered handshake may stem from another caller.
        let peer = Peer::new(target).settled(opened.revision, opened.session_id());
        Lease { transport: Arc::clone(&self.transport), peer, opened: Some(opened), place }
    }

    fn drop_shared(&self, key: Digest, opened: &Opened) {
        let mut shared = lock(&self.shared);
        let is_same = shared.get(&key).and_then(|cell| cell.get()).is_some_and(|held| held.is(opened));
        let removed = if is_same { shared.remove(&key) } else { None };
        drop(shared);
        drop(removed);
    }
}

// ---- Lease ----

impl Lease {
    /// Sends one request and waits for its result.
    pub(super) async fn request(&self, ask: Ask<'_>) -> Result<Raw, Error> {
        let id = self.transport.next_id();
        let is_stateless = self.opened.is_none();
        let body = ask.write(id, is_stateless)?;
        let mut in_flight = InFlight { lease: self, id, answered: false };
        let outcome = self.transport.request_for(&self.peer, id, body, Some(ask)).await;
        in_flight.answered = true;
        outcome.map(|reply| reply.result)
    }

    /// What a refusal of its request means.
    pub(super) fn step(&self) -> Step {
        match (&self.opened, self.place) {
            (None, _) => Step::Stateless,
            (Some(_), Place::Fresh) => Step::Fresh,
            (Some(_), _) => Step::Reused,
        }
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.opened.as_ref().map_or(Protocol::Stateless, Opened::protocol)
    }

    pub(super) fn server_name(&self) -> Option<&str> {
        self.opened.as_ref()?.server_name.as_deref()
    }
}

// ---- InFlight ----

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let Lease { transport, peer, opened, .. } = self.lease;
        // Without a session the upstream could not tell whose request is meant; closing the connection says it.
        let has_session = opened.as_ref().is_some_and(|opened| opened.session.is_some());
        if self.answered || !has_session {
            return;
        }
        // The session is held until the upstream knows: it could not tell otherwise which request is meant.
        let (transport, peer, session) = (Arc::clone(transport), peer.clone(), opened.clone());
        let params = serde_json::json!({"requestId": self.id, "reason": "the caller is gone"});
        self.lease.transport.in_background(async move {
            if let Err(error) = transport.notify(&peer, "notifications/cancelled", Some(&params)).await {
                tracing::debug!(%error, "a cancellation was not delivered");
            }
            drop(session);
        });
    }
}

/// Makes room for a key: where there is none an arbitrary entry goes, which costs its next user a handshake.
fn make_room<T>(map: &mut HashMap<Digest, T>, key: &Digest, limit: usize) -> Option<T> {
    if map.len() < limit || map.contains_key(key) {
        return None;
    }
    let evicted = map.keys().next().copied()?;
    map.remove(&evicted)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
