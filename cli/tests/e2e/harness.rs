//! Real processes: started on free ports, watched through their logs, gone when the test is.

mod http;
mod process;
mod session;
mod split;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use self::http::{http, ready, register, registered, until};
pub(crate) use self::process::{Process, Setup, operator, standalone};
pub(crate) use self::session::Session;
pub(crate) use self::split::Split;

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Shared token of the registration endpoints.
pub(crate) const TOKEN: &str = "a-registration-token-for-tests";

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
