//! The keys with which nodes seal what a caller has to bring back: when they are made, and when they go.
//!
//! Pure but for [`keep`]. Every commit tops the ring up, in its own transaction; a registry in which nothing else
//! changes gets a commit for it. Keys are made a period before the first node seals with them ([`RequestKey`] says
//! how nodes choose), so that every node has them by then.

use std::sync::Arc;
use std::time::Duration;

use toolplane_registry::RequestKey;

use crate::clock::Clock;
use crate::store::{self, AuditEntry, Commit, Millis, Store};

/// How long a key is the one to seal with.
const PERIOD: Millis = 7 * 24 * 60 * 60 * 1000;
/// How much of the future a ring covers once it is topped up.
const AHEAD: Millis = 2 * PERIOD;
/// What is left of that when a commit tops it up on the way, and when it is worth a commit of its own.
const LOW: Millis = AHEAD - PERIOD / 4;
const VERY_LOW: Millis = AHEAD - PERIOD / 2;
/// How often an idle registry is looked at.
const INTERVAL: Duration = Duration::from_hours(1);

/// The last days of the keys that are missing at `now`, given the last day of the newest there is.
pub(crate) fn missing(newest: Option<Millis>, now: Millis) -> Vec<Millis> {
    let mut covered = newest.unwrap_or(now).max(now);
    let mut missing = Vec::new();
    if covered >= now.saturating_add(LOW) {
        return missing;
    }
    while covered < now.saturating_add(AHEAD) {
        covered = covered.saturating_add(PERIOD);
        missing.push(covered);
    }
    missing
}

/// Whether a ring has to be topped up although nothing else changes.
fn is_due(keys: &[RequestKey], now: Millis) -> bool {
    let newest = keys.iter().map(|key| key.not_after).max();
    newest.is_none_or(|newest| newest < now.saturating_add(VERY_LOW))
}

/// Keeps the ring of an idle registry topped up, for as long as it is polled.
pub(crate) async fn keep(store: Arc<dyn Store>, clock: Clock) {
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = top_up(store.as_ref(), clock.now()).await {
            tracing::warn!(%error, "cannot renew the keys of request states");
        }
    }
}

async fn top_up(store: &dyn Store, now: Millis) -> Result<(), store::Error> {
    let registry = store.load().await?;
    // An empty store gets its keys with the first commit: there is nothing to call before it.
    if registry.head.number == 0 || !is_due(&registry.request_keys, now) {
        return Ok(());
    }
    let audit = AuditEntry {
        actor: "system".to_owned(),
        action: "request_keys.renew",
        subject: "keys of request states".to_owned(),
        detail: "the next key was made".to_owned(),
        at: now,
    };
    store.commit(&Commit { changes: Vec::new(), audit: vec![audit], at: now }).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use toolplane_registry::Secret;

    use super::*;

    const NOW: Millis = 1_800_000_000_000;

    fn key(not_after: Millis) -> RequestKey {
        RequestKey { id: "k".to_owned(), key: Secret::new([7; 32]), not_after }
    }

    #[test]
    fn a_ring_covers_two_periods_whatever_it_holds() {
        assert_eq!(missing(None, NOW), [NOW + PERIOD, NOW + 2 * PERIOD]);
        assert_eq!(missing(Some(5), NOW), [NOW + PERIOD, NOW + 2 * PERIOD], "keys long gone");
        assert_eq!(missing(Some(NOW + AHEAD), NOW), [0; 0]);
        assert_eq!(missing(Some(NOW + LOW), NOW), [0; 0]);
        assert_eq!(missing(Some(NOW + LOW - 1), NOW), [NOW + LOW - 1 + PERIOD]);
    }

    #[test]
    fn an_idle_registry_is_left_alone_for_half_a_period() {
        assert!(is_due(&[], NOW));
        assert!(!is_due(&[key(NOW + AHEAD)], NOW + PERIOD / 2));
        assert!(is_due(&[key(NOW + AHEAD)], NOW + PERIOD / 2 + 1));
    }
}
