//! Pools for upstreams with TLS settings of their own.
//!
//! Owns that there is one pool for each distinct set of settings, however many upstreams have it, and that a pool ends,
//! with its connections and its key, when the last of its holders does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use toolplane_registry::digest::Hasher;
use toolplane_registry::{Digest, Tls};

use super::{Parts, pool};
use crate::Error;

/// Fewest pools that are remembered before those are looked for that have ended.
const FIRST_SWEEP: usize = 64;

/// The pool of some TLS settings. Clones share it.
#[derive(Debug, Clone)]
pub struct Secured(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    id: Digest,
    settings: Tls,
    connect_timeout: Duration,
    /// Made by the first request, which is also the first to learn what is wrong with the settings.
    http: OnceLock<Result<pool::Pool, String>>,
}

/// All that there are. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Pools(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// By the digest of the settings. Ended ones are dropped now and then, so there are at most twice as many as live.
    pools: HashMap<Digest, Weak<Pool>>,
    sweep_at: usize,
}

impl Secured {
    /// Tells settings apart. It is as secret as they are.
    pub(crate) fn id(&self) -> Digest {
        self.0.id
    }

    /// Whether the upstream's authorities are not the system's.
    pub(super) fn has_own_ca(&self) -> bool {
        self.0.settings.ca.is_some()
    }

    /// Longest time for connecting.
    pub(super) fn connect_timeout(&self) -> Duration {
        self.0.connect_timeout
    }

    pub(super) fn pool(&self, parts: &Parts) -> Result<&pool::Pool, Error> {
        let Pool { id: _, settings, connect_timeout: _, http } = &*self.0;
        let made = http.get_or_init(|| {
            let config = parts.system.config_with(settings);
            let made = config.map(|config| pool::Pool::new(Arc::new(config), &parts.options));
            made.map_err(|error| match error {
                Error::Tls(reason) | Error::Setup(reason) => reason,
                other => other.to_string(),
            })
        });
        made.as_ref().map_err(|reason| Error::Tls(reason.clone()))
    }
}

impl Pools {
    /// The pool of these settings, made where nobody holds it.
    pub(super) fn of(&self, settings: &Tls, connect_timeout: Duration) -> Secured {
        let id = digest(settings, connect_timeout);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = known.pools.get(&id).and_then(Weak::upgrade) {
            return Secured(pool);
        }
        if known.pools.len() >= known.sweep_at.max(FIRST_SWEEP) {
            known.pools.retain(|_, pool| pool.strong_count() > 0);
            known.sweep_at = 2 * known.pools.len();
        }
        let pool = Arc::new(Pool { id, settings: settings.clone(), connect_timeout, http: OnceLock::new() });
        known.pools.insert(id, Arc::downgrade(&pool));
        Secured(pool)
    }
}

fn digest(settings: &Tls, connect_timeout: Duration) -> Digest {
    let Tls { ca, client_certificate, client_key } = settings;
    let hasher = Hasher::default().field(&connect_timeout.as_nanos().to_be_bytes());
    let parts = [ca, client_certificate, client_key];
    let hasher = parts
        .into_iter()
        .fold(hasher, |hasher, part| hasher.optional(part.as_ref().map(|secret| secret.expose().as_str())));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use toolplane_registry::Secret;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn with_ca(ca: &str) -> Tls {
        Tls { ca: Some(Secret::new(ca.to_owned())), ..Tls::default() }
    }

    #[test]
    fn equal_settings_share_a_pool_and_others_do_not() {
        let pools = Pools::default();
        let one = pools.of(&with_ca("one"), SECOND);
        assert!(Arc::ptr_eq(&one.0, &pools.of(&with_ca("one"), SECOND).0));
        let moved = Tls { client_key: Some(Secret::new("one".to_owned())), ..Tls::default() };
        for other in [pools.of(&with_ca("two"), SECOND), pools.of(&moved, SECOND)] {
            assert_ne!(other.id(), one.id());
        }
        assert_ne!(pools.of(&with_ca("one"), 2 * SECOND).id(), one.id());
    }

    #[test]
    fn a_pool_ends_with_its_last_holder_and_is_forgotten() {
        let pools = Pools::default();
        let held = pools.of(&with_ca("held"), SECOND);
        let gone = Arc::downgrade(&pools.of(&with_ca("gone"), SECOND).0);
        assert!(gone.upgrade().is_none());
        for number in 0..10 * FIRST_SWEEP {
            drop(pools.of(&with_ca(&number.to_string()), SECOND));
        }
        assert!(pools.0.lock().unwrap().pools.len() <= FIRST_SWEEP);
        assert!(Arc::ptr_eq(&held.0, &pools.of(&with_ca("held"), SECOND).0));
    }

    #[test]
    fn debug_shows_no_setting() {
        let shown = format!("{:?}", Pools::default().of(&with_ca("s3cr3t"), SECOND));
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
}
