//! Sessions opened ahead of need, so that a call with a session of its own waits for one request and no handshake.
//!
//! Owns how many there are and for how long. One pool per upstream and credentials: a spare is handed to one call
//! and to no other, and only to a call with the credentials it was opened with.
//!
//! How many a pool wants follows the calls: it starts with one, doubles whenever a call finds none, and halves
//! when one expires unused. Callers that never come back (whose headers differ with every call) teach it to wait
//! for a second call before it opens anything for a newcomer.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use toolplane_registry::{Digest, Domain};

use super::Target;
use super::handshake::{self, Opened};
use super::identity::Identity;
use super::transport::{Peer, Transport};

/// Spares of newcomers that expired unused in a row, after which newcomers have to call twice.
const PATIENCE: usize = 8;

/// The spares of a process. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Spares {
    transport: Arc<Transport>,
    state: Arc<Mutex<State>>,
    /// How many wait for a call.
    ready: watch::Sender<usize>,
    stopping: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    pools: HashMap<Digest, Pool>,
    /// Ready and being opened, over all pools.
    held: usize,
    next: u64,
    /// Per upstream: spares that expired unused since one was last used.
    unused: HashMap<Digest, usize>,
}

#[derive(Debug, Default)]
struct Pool {
    ready: VecDeque<(u64, Opened)>,
    opening: usize,
    wanted: usize,
    /// Whose sessions these are, where that is known.
    domain: Option<Domain>,
}

/// Tells how many spares wait, and keeps none of them.
#[derive(Debug, Clone, Default)]
pub struct SpareSessions(Weak<Mutex<State>>);

/// How a spare is opened.
#[derive(Debug, Clone)]
struct Seed {
    identity: Identity,
    peer: Peer,
}

impl Spares {
    pub(super) fn new(transport: Arc<Transport>) -> Self {
        Self {
            transport,
            state: Arc::default(),
            ready: watch::Sender::new(0),
            stopping: CancellationToken::new(),
        }
    }

    /// How many wait for a call.
    pub(super) fn ready(&self) -> watch::Receiver<usize> {
        self.ready.subscribe()
    }

    /// How many wait for a call of which upstream.
    pub(super) fn by_domain(&self) -> SpareSessions {
        SpareSessions(Arc::downgrade(&self.state))
    }

    /// A spare for one call, the oldest first: it would be the next to expire.
    pub(super) fn take(&self, identity: &Identity) -> Option<Opened> {
        let limit = self.transport.options().max_spares_per_caller;
        let mut state = self.state();
        let pool = state.pools.get_mut(&identity.caller)?;
        let Some((_, opened)) = pool.ready.pop_front() else {
            pool.wanted = (pool.wanted * 2).clamp(1, limit.max(1));
            return None;
        };
        state.held -= 1;
        state.unused.remove(&identity.upstream);
        self.ready.send_modify(|ready| *ready -= 1);
        Some(opened)
    }

    /// Opens what is missing, in the background.
    pub(super) fn refill(&self, identity: &Identity, target: &Target) {
        let missing = self.reserve(identity, target.domain.as_ref());
        for _ in 0..missing {
            let seed = Seed { identity: *identity, peer: Peer::lasting(target) };
            let spares = self.clone();
            self.transport.keep_running(async move { spares.keep_one(seed).await });
        }
    }

    /// Drops the spares of a caller: the upstream has forgotten one of them, and so the others.
    pub(super) fn lose(&self, identity: &Identity) {
        let mut state = self.state();
        let Some(pool) = state.pools.get_mut(&identity.caller) else { return };
        let lost = std::mem::take(&mut pool.ready);
        state.held -= lost.len();
        self.ready.send_modify(|ready| *ready -= lost.len());
        drop(state);
        for (_, opened) in lost {
            opened.lose();
        }
    }

    /// Opens no more, and ends those that wait.
    pub(super) fn close(&self) {
        self.stopping.cancel();
        let mut state = self.state();
        let pools = std::mem::take(&mut state.pools);
        state.held = 0;
        self.ready.send_replace(0);
        drop(state);
        // Outside the lock: dropping a session starts a task.
        drop(pools);
    }

    /// How many to open now; they count as held from here on.
    fn reserve(&self, identity: &Identity, domain: Option<&Domain>) -> usize {
        let options = self.transport.options();
        let mut state = self.state();
        let room = options.max_spare_sessions.saturating_sub(state.held);
        if self.stopping.is_cancelled() || options.max_spares_per_caller == 0 {
            return 0;
        }
        let is_wary = state.unused.get(&identity.upstream).is_some_and(|unused| *unused >= PATIENCE);
        if !state.pools.contains_key(&identity.caller) {
            if state.pools.len() >= options.max_remembered {
                let idle = state.pools.iter().find(|(_, pool)| pool.is_empty()).map(|(key, _)| *key);
                let Some(idle) = idle else { return 0 };
                state.pools.remove(&idle);
            }
            let wanted = usize::from(!is_wary);
            let domain = domain.cloned();
            state.pools.insert(identity.caller, Pool { wanted, domain, ..Pool::default() });
        }
        let Some(pool) = state.pools.get_mut(&identity.caller) else { return 0 };
        let missing = pool.wanted.saturating_sub(pool.ready.len() + pool.opening).min(room);
        pool.opening += missing;
        state.held += missing;
        missing
    }

    /// Opens one, offers it for as long as it may wait, and ends it if nobody took it.
    async fn keep_one(&self, seed: Seed) {
        let options = self.transport.options();
        let Seed { identity, peer } = seed;
        let opening = handshake::open(&self.transport, peer);
        // Not broken off by a stop: the upstream may have made the session already, and it has to be ended.
        let opened = match tokio::time::timeout(options.cleanup_timeout, opening).await {
            Ok(Ok(opened)) if opened.session.is_some() => Some(opened),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a session could not be opened ahead of need");
                None
            }
            _ => None,
        };
        let Some(number) = self.offer(&identity, opened) else { return };
        if self.stopping.run_until_cancelled(tokio::time::sleep(options.spare_session_ttl)).await.is_some() {
            self.expire(&identity, number);
        }
    }

    /// Puts what was opened into its pool; `None` where there is nothing to wait for.
    fn offer(&self, identity: &Identity, opened: Option<Opened>) -> Option<u64> {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        // Closed meanwhile: what was opened ends here.
        let pool = state.pools.get_mut(&identity.caller)?;
        pool.opening = pool.opening.saturating_sub(1);
        if let Some(opened) = opened {
            pool.ready.push_back((number, opened));
            self.ready.send_modify(|ready| *ready += 1);
            return Some(number);
        }
        if pool.is_empty() {
            state.pools.remove(&identity.caller);
        }
        state.held = state.held.saturating_sub(1);
        None
    }

    fn expire(&self, identity: &Identity, number: u64) {
        let limit = self.transport.options().max_remembered;
        let mut state = self.state();
        let Some(pool) = state.pools.get_mut(&identity.caller) else { return };
        let found = pool.ready.iter().position(|(held, _)| *held == number);
        let expired = found.and_then(|position| pool.ready.remove(position));
        if expired.is_some() {
            pool.wanted /= 2;
        }
        let is_empty = pool.is_empty();
        if is_empty {
            state.pools.remove(&identity.caller);
        }
        if expired.is_some() {
            state.held -= 1;
            self.ready.send_modify(|ready| *ready -= 1);
            if state.unused.len() < limit || state.unused.contains_key(&identity.upstream) {
                *state.unused.entry(identity.upstream).or_default() += 1;
            }
        }
        drop(state);
        drop(expired);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.opening == 0
    }
}

impl SpareSessions {
    /// How many wait now, by upstream; upstreams without any are left out.
    pub fn read(&self) -> BTreeMap<Domain, usize> {
        let mut found = BTreeMap::new();
        let Some(state) = self.0.upgrade() else { return found };
        for pool in state.lock().unwrap_or_else(PoisonError::into_inner).pools.values() {
            if let Some(domain) = pool.domain.as_ref().filter(|_| !pool.ready.is_empty()) {
                *found.entry(domain.clone()).or_default() += pool.ready.len();
            }
        }
        found
    }
}
