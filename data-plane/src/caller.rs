//! Who is calling, and what that caller sees.
//!
//! Owns the one visibility check: everything that lists, counts, suggests, shows a schema or executes asks for the
//! caller's view first and looks at nothing else.

use http::HeaderMap;
use toolplane_registry::{Snapshot, View};

/// The author of one request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The request's headers; what of them reaches an upstream is decided per domain.
    pub(crate) headers: HeaderMap,
}

impl Caller {
    /// What this caller sees of a snapshot. Nothing hides tools from a caller yet, so everybody sees all.
    #[expect(clippy::unused_self, reason = "the single point where identity narrows the view")]
    pub(crate) fn view<'s>(&self, snapshot: &'s Snapshot) -> &'s View {
        snapshot.all()
    }
}
