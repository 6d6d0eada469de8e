//! Forgetting what nobody asks for any more: old audit records, and nodes that are gone.
//!
//! Owns when and how much at a time. Every control plane does it: what one has removed is not there for the next, so
//! they need not agree. Never touches versions, which are counted, not dated: [`crate::history::Recorder`].

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::options;
use crate::store::{self, Expiry, Millis, Store};

/// Between two looks.
const PAUSE: Duration = Duration::from_hours(1);
/// Removed in one step of the database: few, so that nobody waits for it.
const BATCH: u32 = 500;

/// Forgets what is old.
#[derive(Debug)]
pub struct Retention {
    /// Where.
    pub store: Arc<dyn Store>,
    /// The time of day.
    pub clock: Clock,
    /// How old.
    pub options: options::Retention,
}

impl Retention {
    /// Forgets now and from then on, until the token is cancelled.
    pub async fn run(self, shutdown: CancellationToken) {
        let forgetting = async {
            loop {
                if let Err(error) = self.forget(BATCH).await {
                    tracing::warn!(%error, "cannot remove old audit records and nodes; they are left for the next time");
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        shutdown.run_until_cancelled(forgetting).await;
    }

    /// Forgets everything that is old by now, in steps. Returns how much that was.
    async fn forget(&self, batch: u32) -> Result<u64, store::Error> {
        let expiry = expiry(&self.options, self.clock.now());
        let mut total = 0_u64;
        loop {
            let removed = self.store.forget(&expiry, batch).await?;
            total = total.saturating_add(removed);
            if removed == 0 {
                break;
            }
        }
        if total > 0 {
            tracing::info!(rows = total, "removed old audit records and nodes");
        }
        Ok(total)
    }
}

fn expiry(options: &options::Retention, now: Millis) -> Expiry {
    let before = |age: Option<Duration>| {
        age.map(|age| now.saturating_sub(Millis::try_from(age.as_millis()).unwrap_or(Millis::MAX)))
    };
    Expiry { audit_before: before(options.audit), nodes_before: before(options.nodes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_age_everything_is_kept() {
        let day = Duration::from_hours(24);
        let options = options::Retention { audit: None, nodes: Some(day) };
        assert_eq!(
            expiry(&options, 100_000_000),
            Expiry { audit_before: None, nodes_before: Some(13_600_000) }
        );
    }
}
