//! What control planes on one database tell each other, as plain values.

use async_trait::async_trait;

use super::Millis;

/// Tells of commits as they happen.
#[async_trait]
pub trait Wakeups: Send {
    /// Resolves when the head may have moved: after a commit, and after a time in which one could have been
    /// missed. Never fails: it connects again by itself, at growing distances. Where nobody tells, it never
    /// resolves.
    async fn next(&mut self);
}

/// A control plane that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlPlane {
    /// Another one with every start.
    pub id: String,
    /// Until when it said it would live, by the clock of the database.
    pub lease_until: Millis,
    /// Whether that is still to come.
    pub alive: bool,
}

/// Which upstreams a control plane would list now.
///
/// An upstream that was never asked is always due. Any other is due when both times have passed, so that what
/// failed can be tried again earlier than what succeeded.
#[derive(Debug, Clone)]
pub struct RefreshClaim {
    /// Who asks.
    pub control_plane: String,
    /// Now.
    pub now: Millis,
    /// Due are those not asked since, whatever the answer was.
    pub not_asked_since: Millis,
    /// Due are those that have not answered since.
    pub not_answered_since: Millis,
    /// How long nobody else lists them.
    pub lease: Millis,
    /// At most so many.
    pub limit: u32,
}
