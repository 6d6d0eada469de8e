//! Real processes: started on free ports, watched through their logs, gone when the test is.

mod http;
mod process;
mod session;
mod split;

use std::time::Duration;

pub(crate) use self::http::{http, ready, register, registered, until};
pub(crate) use self::process::{Process, Setup, operator, standalone};
pub(crate) use self::session::Session;
pub(crate) use self::split::Split;

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Shared token of the registration endpoints.
pub(crate) const TOKEN: &str = "a-registration-token-for-tests";
