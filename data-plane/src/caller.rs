//! Who is calling, what that caller sees, and for how long it waits.
//!
//! Owns the one visibility check: everything that lists, counts, suggests, shows a schema or executes asks for the
//! caller's view first and looks at nothing else.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;
use toolplane_registry::{RawJson, limits};
use toolplane_upstream::limits::call::EXPECTED_TIMEOUT;

use crate::hooks::Phase;
use crate::hooks::chain::Chain;
use crate::hooks::error::Refusal;
use crate::hooks::visibility::{self, Scope, Seen};
use crate::hooks::visit::Visit;
use crate::live::Served;

/// The author of one request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The request's headers; what of them reaches an upstream is decided per domain.
    pub(crate) headers: HeaderMap,
    /// Where the request came from: the caller, or what is in front of the node.
    peer: Option<IpAddr>,
    /// When nobody waits for the answer any more.
    deadline: Instant,
    /// What hooks know of the call; absent where there are none.
    visit: Option<Arc<Visit>>,
}

impl Caller {
    /// Somebody of whom nothing but the headers is known yet. The time that it waits begins now.
    pub(crate) fn new(headers: HeaderMap) -> Self {
        let deadline = deadline(&headers);
        Self { headers, peer: None, deadline, visit: None }
    }

    /// The same from that address.
    pub(crate) fn at(self, peer: Option<IpAddr>) -> Self {
        Self { peer, ..self }
    }

    /// Has the hooks find out who this is. Once per call of a meta-tool; the call ends with the last clone.
    pub(crate) async fn identified(
        self,
        chain: Option<&Arc<Chain>>,
        request_meta: Option<&RawJson>,
    ) -> Result<Self, Refusal> {
        let Some(chain) = chain else { return Ok(self) };
        let (headers, request_meta) = (self.headers.clone(), request_meta.cloned());
        let visit = Box::pin(Visit::begin(chain, headers, request_meta, self.deadline)).await?;
        Ok(Self { visit: Some(Arc::new(visit)), ..self })
    }

    /// The same caller for a call that its code makes.
    pub(crate) fn nested(&self, session: &str) -> Self {
        let visit = self.visit.as_ref().map(|visit| Arc::new(visit.nested(session)));
        Self { headers: self.headers.clone(), peer: self.peer, deadline: self.deadline, visit }
    }

    /// When nobody waits for the answer any more, as far as the caller said so.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the hooks let this caller run code. Where there is nobody to ask, everybody may.
    pub(crate) async fn authorize_code(&self) -> Result<(), Refusal> {
        match &self.visit {
            Some(visit) => Box::pin(visit.authorize_code()).await,
            None => Ok(()),
        }
    }

    /// Who this is, where a hook knows.
    pub(crate) fn subject(&self) -> Option<&str> {
        self.visit.as_ref()?.subject()
    }

    /// Where the request came from.
    pub(crate) fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// What the phases around an execution need.
    pub(crate) fn visit(&self) -> Option<&Visit> {
        self.visit.as_deref()
    }

    /// What this caller sees of a snapshot, as far as the scope asks.
    pub(crate) async fn view<'s>(&self, served: &'s Served, scope: Scope<'_>) -> Result<Seen<'s>, Refusal> {
        match &self.visit {
            Some(visit) if visit.chain().takes_part(Phase::FilterTools) => {
                Box::pin(visibility::seen(visit, served, scope)).await
            }
            _ => Ok(Seen::All(served.snapshot().all())),
        }
    }
}

fn deadline(headers: &HeaderMap) -> Instant {
    let left = headers.get(EXPECTED_TIMEOUT).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let left = left.map(Duration::from_millis).filter(|left| !left.is_zero());
    // The upstream's own limit is far less than this.
    Instant::now() + left.unwrap_or(limits::MAX_TIME).min(limits::MAX_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_deadline_is_the_callers_where_there_is_one() {
        let after = |value: Option<&'static str>| {
            let value = value.map(|text| (EXPECTED_TIMEOUT, http::HeaderValue::from_static(text)));
            Caller::new(value.into_iter().collect()).deadline() - Instant::now()
        };
        assert_eq!(after(Some("1500")), Duration::from_millis(1500));
        for none in [None, Some("0"), Some("soon"), Some("-1"), Some("99999999999999")] {
            assert_eq!(after(none), limits::MAX_TIME, "{none:?}");
        }
    }
}
