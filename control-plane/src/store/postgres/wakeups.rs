//! Hearing of commits by `LISTEN`.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::Executor as _;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

use super::ACQUIRE_TIMEOUT;
use crate::store::Wakeups;

/// What commits are announced on.
pub(super) const CHANNEL: &str = "toolplane_head";
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Polling finds out as well, so there is no hurry.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After so long without a word the server is asked for a sign of life: a listener never sends anything by itself, and
/// would never notice that nobody is there any more.
const SILENCE: Duration = Duration::from_secs(30);

/// Listens on a connection of its own. The pool would not get it back from a server that has vanished.
pub(in crate::store) struct Announcements {
    options: PgConnectOptions,
    listener: Option<PgListener>,
    pause: Duration,
}

impl Announcements {
    pub(in crate::store) fn new(options: PgConnectOptions) -> Self {
        Self { options, listener: None, pause: Duration::ZERO }
    }

    async fn connect(&self) -> Result<PgListener, sqlx::Error> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(self.options.clone());
        let mut listener = PgListener::connect_with(&pool).await?;
        // Connecting again is done here, with pauses.
        listener.eager_reconnect(false);
        in_time(listener.listen(CHANNEL)).await?;
        Ok(listener)
    }

    /// Gives a broken connection up; the longer it goes on, the longer the pauses.
    fn lost(&mut self, error: Option<&sqlx::Error>) {
        let error = error.map(ToString::to_string);
        tracing::debug!(error, "cannot hear of commits: polling goes on");
        self.listener = None;
        self.pause = self.pause.saturating_mul(2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
    }
}

#[async_trait]
impl Wakeups for Announcements {
    async fn next(&mut self) {
        loop {
            if let Some(listener) = &mut self.listener {
                match heard(listener).await {
                    Ok(true) => {
                        self.pause = Duration::ZERO;
                        return;
                    }
                    Ok(false) => self.lost(None),
                    Err(error) => self.lost(Some(&error)),
                }
                continue;
            }
            tokio::time::sleep(self.pause).await;
            match self.connect().await {
                Ok(listener) => {
                    self.listener = Some(listener);
                    return;
                }
                Err(error) => self.lost(Some(&error)),
            }
        }
    }
}

/// Waits for an announcement; `false` where the connection ended.
async fn heard(listener: &mut PgListener) -> Result<bool, sqlx::Error> {
    loop {
        match tokio::time::timeout(SILENCE, listener.try_recv()).await {
            Ok(received) => return Ok(received?.is_some()),
            Err(_) => in_time(listener.execute("SELECT 1")).await?,
        };
    }
}

async fn in_time<T>(step: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    tokio::time::timeout(ACQUIRE_TIMEOUT, step).await.map_err(|_| sqlx::Error::PoolTimedOut)?
}
