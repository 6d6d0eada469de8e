//! One change of an upstream at a time, within this process.
//!
//! Two registrations of one domain at once would both list the upstream and one would find its ground gone. They
//! wait for each other instead; against other control planes the store's etags decide.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;
use toolplane_registry::Domain;

type Turn = tokio::sync::Mutex<()>;

/// Whose turn it is, per domain. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns {
    /// Domains that somebody is changing or waiting for; the others are swept out on the way.
    taken: Arc<Mutex<HashMap<Domain, Weak<Turn>>>>,
}

impl Turns {
    /// Waits until nobody else changes the domain; the turn ends with the guard.
    pub(super) async fn take(&self, domain: &Domain) -> OwnedMutexGuard<()> {
        let turn = {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.retain(|_, turn| turn.strong_count() > 0);
            let found = taken.get(domain).and_then(Weak::upgrade);
            found.unwrap_or_else(|| {
                let turn = Arc::new(Turn::default());
                taken.insert(domain.clone(), Arc::downgrade(&turn));
                turn
            })
        };
        turn.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_domain_waits_and_another_does_not() {
        let turns = Turns::default();
        let (a, b) = (Domain::parse("a").unwrap(), Domain::parse("b").unwrap());
        let first = turns.take(&a).await;
        let _other = turns.take(&b).await;
        let second = turns.take(&a);
        tokio::pin!(second);
        assert!(futures::poll!(second.as_mut()).is_pending());
        drop(first);
        drop(second.await);
        drop(turns.take(&b));
        assert!(turns.taken.lock().unwrap().len() <= 2);
    }
}
