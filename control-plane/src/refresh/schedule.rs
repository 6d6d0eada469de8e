//! Refreshing without being asked: once at start, then whenever an interval has passed.
//!
//! Owns which upstreams are due. Several control planes on one store share the work: each claims a few upstreams
//! at a time in the store, so that every upstream is listed once per interval however many run, and the claims of
//! one that died run out. Whoever asks for a refresh gets one at once; that is [`Rounds`].

use std::time::Duration;

use futures::stream::{self, Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;

use super::Rounds;
use crate::options;
use crate::snapshots;
use crate::store::{Millis, RefreshClaim, Registered};

/// Claimed in one go. Few, so that other control planes find something to do.
const BATCH: u32 = 4;
/// How often it is looked for what is due, as a share of the interval and at least so often. The latter also says
/// how soon somebody takes over upstreams that were never listed.
const LOOKS_PER_INTERVAL: u32 = 10;
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
/// A claim outlives so many deadlines: one to wait for a place, one for the listing, one to store it.
const DEADLINES_PER_LEASE: u32 = 3;
const CATCH_UP_DEADLINE: Duration = Duration::from_secs(5);

/// Refreshes what is due.
#[derive(Debug)]
pub struct Schedule {
    /// Does the work.
    pub rounds: Rounds,
    /// In whose name upstreams are claimed.
    pub control_plane: String,
    /// How often, how many at once, how long each. Without an interval only what was never listed is due after the
    /// start.
    pub options: options::Refresh,
    /// When this control plane began to start.
    pub started_at: Millis,
    /// When its environment became the one in force, where that was by this start: what upstreams are asked with
    /// may have changed then.
    pub environment_at: Option<Millis>,
}

/// The two times that say which upstreams are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Due {
    not_asked_since: Millis,
    not_answered_since: Millis,
}

impl Schedule {
    /// Refreshes what is due, now and from then on, until the token is cancelled; gives back then what it has not
    /// listed.
    pub async fn run(self, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.keep_fresh() => {}
        }
        if let Err(error) = self.rounds.store().release_refresh(&self.control_plane).await {
            tracing::debug!(%error, "claims on upstreams are left to run out");
        }
    }

    async fn keep_fresh(&self) {
        let interval = self.options.interval;
        self.round(at_start(self.started_at, self.environment_at, interval)).await;
        let pause = pause(interval);
        loop {
            tokio::time::sleep(pause).await;
            self.round(on_interval(self.rounds.now(), interval)).await;
        }
    }

    /// Lists everything that is due and that nobody else lists.
    #[tracing::instrument(name = "gateway.background_refresh", skip_all)]
    async fn round(&self, due: Due) {
        self.rounds.metrics().round(true);
        self.claims(due)
            .for_each_concurrent(self.options.concurrency, |held| async move {
                if let Err(error) = self.rounds.one(&held, "system").await {
                    // Its claim stays, so that it is not tried again at once.
                    let domain = &held.upstream.domain;
                    tracing::warn!(upstream.domain = %domain, %error, "cannot store the tools of `{domain}`");
                }
            })
            .await;
    }

    /// Upstreams as they are claimed, batch after batch, until there is nothing left or the store fails.
    fn claims(&self, due: Due) -> impl Stream<Item = Registered> + '_ {
        stream::unfold((), move |()| async move {
            match self.claim(due).await {
                Ok(None) => None,
                Ok(Some(batch)) => Some((stream::iter(batch), ())),
                Err(error) => {
                    tracing::warn!(%error, "cannot look for upstreams to refresh");
                    None
                }
            }
        })
        .flatten()
    }

    /// `None` where nothing is due. A batch may be empty all the same: who cannot be read stays claimed, so that
    /// those behind it get their turn.
    async fn claim(&self, due: Due) -> Result<Option<Vec<Registered>>, snapshots::Error> {
        let Due { not_asked_since, not_answered_since } = due;
        let lease = millis(self.options.deadline.saturating_mul(DEADLINES_PER_LEASE));
        let claimed = self
            .rounds
            .store()
            .claim_refresh(&RefreshClaim {
                control_plane: self.control_plane.clone(),
                now: self.rounds.now(),
                not_asked_since,
                not_answered_since,
                lease,
                limit: BATCH,
            })
            .await?;
        self.rounds.metrics().claimed(claimed.len());
        if claimed.is_empty() {
            return Ok(None);
        }
        // As it is in the store: another control plane may have changed it since the last publication here.
        let newest = self.rounds.snapshots().newest(CATCH_UP_DEADLINE).await?;
        let registry = &newest.registry;
        let readable = claimed.iter().filter(|domain| !registry.unreadable.contains_key(*domain));
        Ok(Some(readable.filter_map(|domain| registry.upstreams.get(domain).cloned()).collect()))
    }
}

/// At start everything is due that the interval does not call fresh, and what failed; but nothing that others who
/// start at the same time have asked since, and everything that was asked under another environment.
fn at_start(started_at: Millis, environment_at: Option<Millis>, interval: Option<Duration>) -> Due {
    let environment_at = environment_at.unwrap_or(Millis::MIN);
    let fresh_since = started_at.saturating_sub(interval.map_or(0, millis));
    Due {
        not_asked_since: started_at.max(environment_at),
        not_answered_since: fresh_since.max(environment_at),
    }
}

fn on_interval(now: Millis, interval: Option<Duration>) -> Due {
    let since = interval.map_or(Millis::MIN, |interval| now.saturating_sub(millis(interval)));
    Due { not_asked_since: since, not_answered_since: Millis::MAX }
}

fn pause(interval: Option<Duration>) -> Duration {
    interval.map_or(LONGEST_PAUSE, |interval| {
        (interval / LOOKS_PER_INTERVAL).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
    })
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Option<Duration> = Some(Duration::from_mins(1));

    #[test]
    fn a_start_asks_what_failed_and_what_is_older_than_the_interval() {
        let due = |environment_at, interval| {
            let Due { not_asked_since, not_answered_since } = at_start(100_000, environment_at, interval);
            (not_asked_since, not_answered_since)
        };
        assert_eq!(due(None, MINUTE), (100_000, 40_000));
        assert_eq!(due(None, None), (100_000, 100_000), "without an interval nothing is fresh");
        assert_eq!(due(Some(100_010), MINUTE), (100_010, 100_010), "asked under another environment");
    }

    #[test]
    fn without_an_interval_only_what_was_never_asked_is_due() {
        assert_eq!(on_interval(100_000, MINUTE).not_asked_since, 40_000);
        assert_eq!(on_interval(100_000, None).not_asked_since, Millis::MIN);
    }

    #[test]
    fn it_is_looked_for_what_is_due_often_but_not_all_the_time() {
        assert_eq!(pause(MINUTE), Duration::from_secs(6));
        assert_eq!(pause(None), LONGEST_PAUSE);
        assert_eq!(pause(Some(Duration::from_hours(24))), LONGEST_PAUSE);
        assert_eq!(pause(Some(Duration::from_millis(1))), SHORTEST_PAUSE);
    }
}
