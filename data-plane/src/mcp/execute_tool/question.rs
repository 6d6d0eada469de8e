//! Tools that ask for more input: the state that leads a caller back to them from any node.

use std::time::{Duration, SystemTime};

use toolplane_registry::RawJson;
use toolplane_registry::view::Entry;
use toolplane_upstream::client::InputRequired;

use super::super::error::Error;
use super::super::reply::Outcome;
use super::super::request_state::{self, Binding};
use super::asks;
use crate::caller::Caller;
use crate::live::Served;

const NO_KEYS: &str =
    "the tool asks for further input, and the control plane has given this node no keys for that yet";

/// A call, as far as a state is bound to it: with the arguments that the caller gave, not those that hooks made of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) served: &'a Served,
    pub(super) caller: &'a Caller,
    pub(super) entry: &'a Entry,
    pub(super) arguments: Option<&'a RawJson>,
}

impl Asked<'_> {
    /// What a tool wants to know, with a state that leads back to it from any node.
    pub(super) fn outcome(self, asked: InputRequired, ttl: Duration) -> Result<Outcome, Error> {
        let InputRequired { request_state, members } = asked;
        let (keys, now) = (&self.served.snapshot().settings().request_keys, unix_millis());
        let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        let sealed = request_state::seal(keys, self.binding(), request_state, now, now.saturating_add(ttl));
        let sealed = sealed.ok_or_else(|| asks(self.entry, NO_KEYS))?;
        Ok(Outcome::input_required(&members, &sealed))
    }

    /// The upstream's own state out of the one that the caller brings back.
    pub(super) fn reopened(self, sealed: &str) -> Result<Option<String>, Error> {
        let keys = &self.served.snapshot().settings().request_keys;
        request_state::open(keys, self.binding(), sealed, unix_millis()).map_err(Error::RequestState)
    }

    fn binding(&self) -> Binding<'_> {
        Binding {
            domain: self.entry.domain().domain().as_str(),
            tool: self.entry.name(),
            arguments: self.arguments,
            caller: &self.caller.headers,
            subject: self.caller.subject(),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "read here at the edge; what is checked against it takes it as a parameter"
)]
fn unix_millis() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
