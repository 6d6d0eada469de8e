//! From variables and flags to plain settings: defaults < environment < flags.
//!
//! Pure: a map of variables goes in, settings or every mistake at once come out. Nothing is opened or bound here.

mod code_mode;
pub(crate) mod control_plane;
pub(crate) mod hooks;
mod local;
mod logging;
pub(crate) mod node;
mod operator;
mod reader;
mod registration;
mod telemetry;
pub(crate) mod tls;
mod unsupported;
mod upstreams;

pub(crate) use control_plane::{ControlPlane, Database};
pub(crate) use hooks::{Planes, Python, ignored_token_provider};
pub(crate) use local::DataDir;
pub(crate) use logging::{LogFormat, Logging};
pub(crate) use node::Node;
pub(crate) use operator::{Credential, Operator};
pub(crate) use reader::Reader;
pub(crate) use telemetry::Telemetry;
pub(crate) use unsupported::{refuse as refuse_unsupported, without_effect};

use std::fmt;

use crate::env::{Variable, Variables};
use crate::exit::{Failure, Kind};

/// A value that cannot be used, and why. Never holds the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    variable: &'static str,
    reason: String,
}

impl Mistake {
    pub(crate) fn new(variable: &Variable, reason: impl Into<String>) -> Self {
        Self { variable: variable.name, reason: reason.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.reason)
    }
}

/// Runs `read` over the variables: its result, or every mistake that it noted.
pub(crate) fn read<T>(variables: &Variables, read: impl FnOnce(&mut Reader<'_>) -> T) -> Result<T, Failure> {
    let mut reader = Reader::new(variables);
    let settings = read(&mut reader);
    let mistakes = reader.into_mistakes();
    if mistakes.is_empty() {
        return Ok(settings);
    }
    let messages = mistakes.iter().map(ToString::to_string).collect();
    Err(Failure { kind: Kind::Usage, messages, hints: Vec::new() })
}

#[cfg(test)]
mod tests;
