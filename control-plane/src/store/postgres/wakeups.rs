//! Hearing of commits by `LISTEN`.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgPool;
use sqlx::postgres::PgListener;

use crate::store::Wakeups;

/// What commits are announced on.
pub(super) const CHANNEL: &str = "toolplane_head";
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Polling finds out as well, so there is no hurry.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Listens on a connection of the pool.
pub(in crate::store) struct Announcements {
    pool: PgPool,
    listener: Option<PgListener>,
    pause: Duration,
}

impl Announcements {
    pub(in crate::store) fn new(pool: PgPool) -> Self {
        Self { pool, listener: None, pause: Duration::ZERO }
    }

    async fn connect(&self) -> Result<PgListener, sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        // Connecting again is done here, with pauses.
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
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
                match listener.try_recv().await {
                    Ok(Some(_)) => {
                        self.pause = Duration::ZERO;
                        return;
                    }
                    Ok(None) => self.lost(None),
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
