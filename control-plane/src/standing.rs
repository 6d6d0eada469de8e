//! Which bearer tokens still hold, for whatever outlives the check at its beginning.
//!
//! A request is checked once, in front of every service; a stream goes on for days. Owns the tokens that something
//! open was opened with, and ends it when its token was revoked or has expired. All of them are looked up in one
//! reading: before anything newer is published, so that nobody who was shut out is sent what came after; as soon as
//! a token is revoked here; and now and then, for what other control planes revoke. Never decides what a token may do.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::clock::Clock;
use crate::store::{self, Millis, Store, Token};

/// How often tokens are looked up without a reason.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Tokens read at once.
const PAGE: u32 = 1000;

/// Follows the tokens that something open was opened with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Standing {
    store: Arc<dyn Store>,
    clock: Clock,
    open: Arc<Mutex<Open>>,
}

/// Holds for as long as a token does; it is followed until the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Pass(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    standing: Standing,
    id: String,
    ended: CancellationToken,
    expires: Option<Instant>,
}

#[derive(Debug, Default)]
struct Open {
    tokens: HashMap<String, Held>,
    /// Counts the readings that were acted upon.
    looks: u64,
}

#[derive(Debug, Default)]
struct Held {
    ended: CancellationToken,
    passes: usize,
}

/// Whether a token is good at a time.
pub fn holds(token: &Token, now: Millis) -> bool {
    token.revoked_at.is_none() && token.expires_at.is_none_or(|expires| expires > now)
}

// ---- Standing ----

impl Standing {
    /// Follows tokens of that store.
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock, open: Arc::default() }
    }

    /// How many readings were acted upon: to be asked before a token is looked up that is to [`Standing::enter`].
    pub fn looks(&self) -> u64 {
        self.open().looks
    }

    /// Follows a token that was found good; `None` where it has to be looked up again, because others were in the
    /// meantime, and this one was not among them.
    pub fn enter(&self, token: &Token, looks: u64) -> Option<Pass> {
        let now = self.clock.now();
        let left = token.expires_at.map(|expires| u64::try_from(expires.saturating_sub(now)).unwrap_or(0));
        // What lies too far ahead for this clock is as good as never.
        let expires = left.and_then(|left| Instant::now().checked_add(Duration::from_millis(left)));
        let mut open = self.open();
        if open.looks != looks {
            return None;
        }
        let held = open.tokens.entry(token.id.clone()).or_default();
        held.passes += 1;
        let ended = held.ended.clone();
        drop(open);
        Some(Pass(Arc::new(Inner { standing: self.clone(), id: token.id.clone(), ended, expires })))
    }

    /// Looks up every token that something is open with, and ends what has lost its own.
    pub async fn look(&self) -> Result<(), store::Error> {
        while let Some(asked) = self.to_ask() {
            let good = self.good().await?;
            if self.act(&asked, &good) {
                break;
            }
        }
        Ok(())
    }

    /// The tokens to look up; where there are none, that was the look.
    fn to_ask(&self) -> Option<HashSet<String>> {
        let mut open = self.open();
        if open.tokens.is_empty() {
            open.looks += 1;
            return None;
        }
        Some(open.tokens.keys().cloned().collect())
    }

    /// Ends what has lost its token; `false` where one more reading is needed.
    fn act(&self, asked: &HashSet<String>, good: &HashSet<String>) -> bool {
        let mut open = self.open();
        let mut is_sure = true;
        for (id, held) in open.tokens.iter().filter(|(id, _)| !good.contains(*id)) {
            if !asked.contains(id) {
                // Found good by somebody while this was read, which may have been before or after it.
                is_sure = false;
            } else if !held.ended.is_cancelled() {
                tracing::warn!(token.id = %id, "token `{id}` does not hold any more: what it opened is ended");
                held.ended.cancel();
            }
        }
        open.looks += u64::from(is_sure);
        is_sure
    }

    /// Looks now and then, until the token is cancelled.
    pub async fn run(self, shutdown: CancellationToken) {
        while shutdown.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            if let Err(error) = self.look().await {
                // That the database is away is said, once, by those who follow it; streams end after its grace.
                tracing::debug!(%error, "cannot look up the tokens of what is open");
            }
        }
    }

    async fn good(&self) -> Result<HashSet<String>, store::Error> {
        let (now, mut good, mut after) = (self.clock.now(), HashSet::new(), None::<String>);
        loop {
            let page = self.store.list_tokens(after.as_deref(), PAGE).await?;
            let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            after = page.last().map(|token| token.id.clone());
            good.extend(page.into_iter().filter(|token| holds(token, now)).map(|token| token.id));
            if is_last {
                return Ok(good);
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ---- Pass ----

impl Pass {
    /// The id of the token.
    pub fn token(&self) -> &str {
        &self.0.id
    }

    /// Waits until the token does not hold any more.
    pub async fn lapsed(&self) {
        let expired = async {
            match self.0.expires {
                Some(expires) => tokio::time::sleep_until(expires).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.0.ended.cancelled() => {}
            () = expired => {}
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut open = self.standing.open();
        if let Some(held) = open.tokens.get_mut(&self.id) {
            held.passes -= 1;
            if held.passes == 0 {
                open.tokens.remove(&self.id);
            }
        }
    }
}

/// Waits until a pass has lapsed; for ever where nobody asks for tokens.
pub async fn lapsed(pass: Option<&Pass>) {
    match pass {
        Some(pass) => pass.lapsed().await,
        None => std::future::pending().await,
    }
}

/// What is said where a token was lost on the way.
pub fn refusal() -> Status {
    Status::unauthenticated("the token has expired or was revoked")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::store::{AuditEntry, Role};
    use toolplane_registry::Digest;

    const NOW: Millis = 1_000_000;

    fn audit() -> AuditEntry {
        let text = String::new;
        AuditEntry { actor: text(), action: "token", subject: text(), detail: text(), at: NOW }
    }

    fn token(id: &str, expires_at: Option<Millis>) -> Token {
        Token {
            id: id.to_owned(),
            description: String::new(),
            role: Role::Node,
            may_register: false,
            created_at: NOW,
            expires_at,
            revoked_at: None,
        }
    }

    async fn standing(folder: &tempfile::TempDir) -> Standing {
        let url = format!("sqlite:{}", folder.path().join("db").display());
        let key = toolplane_seal::Key::load_or_create(&folder.path().join("key")).unwrap();
        let store =
            store::open(&url, Arc::new(key), Duration::from_mins(1), Metrics::new(None)).await.unwrap();
        for (id, expires_at) in [("a", None), ("b", None), ("short", Some(NOW + 20))] {
            store.insert_token(&token(id, expires_at), Digest::of(id.as_bytes()), &audit()).await.unwrap();
        }
        Standing::new(store, Clock::new(|| NOW))
    }

    #[tokio::test]
    async fn what_a_revoked_token_opened_ends_and_nothing_else() {
        let folder = tempfile::TempDir::new().unwrap();
        let standing = standing(&folder).await;
        let enter = |id| standing.enter(&token(id, None), standing.looks()).unwrap();
        let (a, b) = (enter("a"), enter("b"));
        standing.look().await.unwrap();
        assert!(!a.0.ended.is_cancelled() && !b.0.ended.is_cancelled());
        standing.store.revoke_token("a", NOW, &audit()).await.unwrap();
        standing.look().await.unwrap();
        a.lapsed().await;
        assert!(!b.0.ended.is_cancelled());
        drop((a, b));
        assert!(standing.open().tokens.is_empty());
    }

    #[tokio::test]
    async fn an_expired_token_lapses_without_a_look() {
        let folder = tempfile::TempDir::new().unwrap();
        let standing = standing(&folder).await;
        let short = standing.enter(&token("short", Some(NOW + 20)), 0).unwrap();
        short.lapsed().await;
    }

    #[tokio::test]
    async fn a_token_that_was_found_before_a_look_has_to_be_found_again() {
        let folder = tempfile::TempDir::new().unwrap();
        let standing = standing(&folder).await;
        let before = standing.looks();
        standing.look().await.unwrap();
        assert!(standing.enter(&token("a", None), before).is_none());
        assert!(standing.enter(&token("a", None), standing.looks()).is_some());
    }
}
