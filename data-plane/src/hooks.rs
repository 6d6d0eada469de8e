//! Hooks: what an operator adds to calls, in any language.
//!
//! A [`Hook`] is asked in seven phases of a call and before code is run. It may live in this process, which is for
//! programs that embed a node, or be a service that is reached over gRPC ([`Service`]); `docs/HOOKS.md` is the
//! operator's page.
//!
//! Owns the order of hooks, what they hand to each other, who wins, and what their failures mean. A phase that no hook
//! takes part in costs nothing. Never decides what a caller may do: that is what hooks are for.
//!
//! ```
//! use toolplane_data_plane::hooks::{Changes, Context, Denial, Error, Execution, Hook, Identity, Phase, Phases};
//!
//! /// Lets callers with a badge in, and tells the upstream who they are.
//! #[derive(Debug)]
//! struct Badges;
//!
//! #[async_trait::async_trait]
//! impl Hook for Badges {
//!     fn phases(&self) -> Phases {
//!         [Phase::Authenticate, Phase::BeforeExecute].into_iter().collect()
//!     }
//!
//!     async fn authenticate(&self, context: &Context<'_>) -> Result<Option<Identity>, Error> {
//!         let badge = context.headers.get("x-badge").and_then(|value| value.to_str().ok());
//!         Ok(badge.map(|badge| Identity { subject: badge.to_owned(), ..Identity::default() }))
//!     }
//!
//!     async fn before_execute(&self, context: &Context<'_>, _: &Execution<'_>) -> Result<Changes, Error> {
//!         let Some(identity) = context.identity else { return Err(Denial::new("no badge").into()) };
//!         Ok(Changes::default().header("x-badge", &identity.subject))
//!     }
//! }
//! ```

pub(crate) mod assembly;
pub(crate) mod cache;
pub mod chain;
mod complaints;
pub mod error;
pub(crate) mod execution;
pub mod grpc;
pub mod phase;
mod result;
pub mod rules;
pub(crate) mod visibility;
pub(crate) mod visit;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use toolplane_registry::upstream::Header;
use toolplane_registry::view::Entry;
use toolplane_registry::{RawJson, Secret};
use toolplane_upstream::connector::Room;

pub use self::chain::Keep;
pub use self::error::{Denial, Error, Failure};
pub use self::grpc::Service;
pub use self::phase::{Phase, Phases};
pub use self::rules::{Configured, OnFailure, Place, Rules};

/// Notes of a call that hooks leave for each other, by key.
pub type Metadata = BTreeMap<String, RawJson>;

/// Takes part in calls. Only the phases that [`Hook::phases`] names are asked.
///
/// Whatever is awaited here has a deadline, and is dropped with the call when the caller gives up.
#[async_trait]
pub trait Hook: fmt::Debug + Send + Sync {
    /// The phases it takes part in, at present.
    fn phases(&self) -> Phases;

    /// Who is calling; `None` where nobody is recognized. The last hook that recognizes somebody wins.
    async fn authenticate(&self, _context: &Context<'_>) -> Result<Option<Identity>, Error> {
        Ok(None)
    }

    /// Which of these tools the caller may know of. They go by the names under which a caller finds them who sees
    /// everything. `domain` is set where one domain is listed.
    async fn filter_tools(
        &self,
        _context: &Context<'_>,
        tools: &[&Entry],
        _domain: Option<&str>,
    ) -> Result<Visible, Error> {
        Ok(Visible { positions: (0..tools.len()).collect(), keep_for: Duration::ZERO })
    }

    /// Whether the caller may run code.
    async fn authorize_code(&self, _context: &Context<'_>) -> Result<bool, Error> {
        Ok(true)
    }

    /// Before an execution: deny it, change its arguments, add headers for the upstream.
    async fn before_execute(
        &self,
        _context: &Context<'_>,
        _execution: &Execution<'_>,
    ) -> Result<Changes, Error> {
        Ok(Changes::default())
    }

    /// The whole result, as the upstream sent it: a JSON object. `None` leaves it.
    async fn transform_result(
        &self,
        _context: &Context<'_>,
        _execution: &Execution<'_>,
        _result: &RawJson,
    ) -> Result<Option<RawJson>, Error> {
        Ok(None)
    }

    /// The text that the caller gets. `None` leaves it.
    async fn after_execute(
        &self,
        _context: &Context<'_>,
        _execution: &Execution<'_>,
        _text: &str,
        _is_error: bool,
    ) -> Result<Option<String>, Error> {
        Ok(None)
    }

    /// The upstream could not be called, or answered with nothing usable.
    async fn report_error(
        &self,
        _context: &Context<'_>,
        _execution: &Execution<'_>,
        _error: &Reported<'_>,
    ) -> Result<(), Error> {
        Ok(())
    }

    /// A call is over, however it ended. Must not block.
    fn end_call(&self, _call_id: &str, _began_with: Option<&str>) {}
}

/// What a hook is told of a call in every phase.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Unique per call; nested calls of code mode have ids of their own.
    pub id: &'a str,
    /// Who is calling, as this hook is to see it: with the handle and the value that it gave itself.
    pub identity: Option<&'a Identity>,
    /// The caller's headers.
    pub headers: &'a HeaderMap,
    /// The request's `_meta`.
    pub request_meta: Option<&'a RawJson>,
    /// The run of code that a nested call belongs to.
    pub session: Option<&'a str>,
    /// Where a hook that may be restarted notes which start of it the call began with.
    pub began_with: &'a OnceLock<Arc<str>>,
}

/// Who is calling.
#[derive(Clone, Default)]
pub struct Identity {
    /// Means something to the hook that gave it.
    pub handle: String,
    /// For logs and audit records: who this is.
    pub subject: String,
    /// Equal for callers that may know of the same tools, whatever else they send. Empty where visibility must not be
    /// kept from one call to the next.
    pub visibility_key: String,
    /// Anything that a hook in this process wants to find again in later phases.
    pub value: Option<Arc<dyn Any + Send + Sync>>,
}

/// Which tools a caller may know of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visible {
    /// Positions in the list that was asked about. Order and repetitions do not matter.
    pub positions: Vec<usize>,
    /// For how long this may be kept for the same visibility key and snapshot.
    pub keep_for: Duration,
}

/// One execution of a tool.
#[derive(Debug, Clone, Copy)]
pub struct Execution<'a> {
    /// The tool, as published to this caller.
    pub tool: &'a Entry,
    /// A JSON object; `{}` where the caller gave none.
    pub arguments: &'a RawJson,
    /// What hooks before this one set.
    pub extra_headers: &'a [Header],
    /// Notes of hooks before this one.
    pub metadata: &'a Metadata,
    /// Where copies of the result have to fit in.
    pub(crate) room: Option<&'a Arc<dyn Room>>,
}

/// What a hook changes before an execution.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// A JSON object that replaces the arguments.
    pub arguments: Option<RawJson>,
    /// For the upstream; these beat configured headers and the caller's own.
    pub extra_headers: Vec<Header>,
    /// Added to the notes.
    pub metadata: Metadata,
}

/// A call of an upstream that brought no result.
#[derive(Debug, Clone, Copy)]
pub struct Reported<'a> {
    /// In words.
    pub error: &'a str,
    /// One of the gateway's codes.
    pub code: &'a str,
    /// The upstream was reached and answered with an error.
    pub is_from_upstream: bool,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A handle may be a credential of the service's own.
        f.debug_struct("Identity").field("subject", &self.subject).finish_non_exhaustive()
    }
}

impl Changes {
    /// Adds a header for the upstream.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let (name, value) = (name.to_ascii_lowercase(), Secret::new(value.to_owned()));
        self.extra_headers.push(Header { name, value });
        self
    }
}

#[cfg(test)]
mod tests;
