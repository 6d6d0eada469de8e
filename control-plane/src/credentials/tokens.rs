//! Tokens of upstreams with OAuth client credentials: asked for once, used until shortly before they end.
//!
//! Owns who asks when. Whoever lists an upstream is given its token; near its end the next one is asked for, and the
//! one that is still good is used where that fails. For each upstream and its settings one request is under way at most,
//! however many want a token. Tokens are kept in memory alone, so each control plane has its own.

mod slot;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use toolplane_registry::Digest;
use toolplane_registry::digest::Hasher;
use toolplane_registry::oauth::Part;
use toolplane_registry::upstream::Upstream;
use toolplane_upstream::Client;

use self::slot::{Next, Slot};
use crate::ids;
use crate::metrics::Metrics;

pub(crate) use self::slot::Token;

/// The share of a listing's time that asking for a token may take.
const SHARE: u32 = 2;
/// How long a token is kept that nobody wanted: that of an upstream that was removed, or of settings that were replaced.
const KEPT_UNUSED: Duration = Duration::from_hours(1);

/// Obtains tokens and keeps them. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Tokens(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    deadline: Duration,
    metrics: Metrics,
    slots: Mutex<HashMap<Digest, Kept>>,
}

#[derive(Debug)]
struct Kept {
    slot: Arc<tokio::sync::Mutex<Slot>>,
    used_at: Instant,
}

impl Tokens {
    pub(super) fn new(client: Client, deadline: Duration, metrics: Metrics) -> Self {
        let slots = Mutex::default();
        Self(Arc::new(Inner { client, deadline: deadline / SHARE, metrics, slots }))
    }

    /// The token of an upstream, and never the one that it has refused. The reason why there is none is for operators.
    pub(super) async fn of(&self, upstream: &Upstream, refused: Option<&Token>) -> Result<Token, String> {
        let slot = self.slot(upstream);
        // Whoever waits here is given what the one before gets.
        let mut slot = slot.lock().await;
        let asked_at = Instant::now();
        match slot.next(asked_at, refused) {
            Next::Use(token) => return Ok(token),
            Next::Fail(reason) => return Err(reason),
            Next::Ask => {}
        }
        let answer = self.0.client.fetch_token(&upstream.oauth, self.0.deadline).await;
        let domain = &upstream.domain;
        self.0.metrics.token(domain, &answer);
        if let Err(error) = &answer {
            tracing::warn!(upstream.domain = %domain, %error, "cannot obtain a token for `{domain}`");
        }
        slot.note(answer, (asked_at, Instant::now()), ids::byte())
    }

    fn slot(&self, upstream: &Upstream) -> Arc<tokio::sync::Mutex<Slot>> {
        let (key, now) = (key(upstream), Instant::now());
        let mut slots = self.0.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if !slots.contains_key(&key) {
            // Settings are new now and then, so this costs little.
            slots.retain(|_, kept| now.saturating_duration_since(kept.used_at) < KEPT_UNUSED);
        }
        let kept = slots.entry(key).or_insert_with(|| Kept { slot: Arc::default(), used_at: now });
        kept.used_at = now;
        Arc::clone(&kept.slot)
    }
}

/// Tells upstreams and settings apart: what one of them obtains, and how it fails, is not for another.
fn key(upstream: &Upstream) -> Digest {
    let hasher = Hasher::default().text(upstream.domain.as_str());
    let parts = Part::ALL.into_iter().map(|part| upstream.oauth.get(part));
    parts.fold(hasher, Hasher::optional).finish()
}

#[cfg(test)]
mod tests;
