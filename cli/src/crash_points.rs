//! Ends a test build of the binary at a named point, as a crash would.
//!
//! The planes name their points with `fail::fail_point!`, which compiles to nothing unless the crate `fail` is
//! built with its feature, and only the tests of this package switch that on. The names are listed in
//! `cli/tests/e2e/crash_points.rs`.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::env::{ReadBy, Variable, Variables};
use crate::exit::Failure;

/// Not on the reference page, because no released binary reads it.
const CRASH_AT: Variable = Variable {
    name: "TOOLPLANE_CRASH_AT",
    doc: "`POINT` or `POINT:HIT`: abort at a named point, the first or a later time it is reached.",
    default: "",
    secret: false,
    reader: ReadBy::Planes,
};

/// Arms the point that the environment names.
pub(crate) fn set_up(variables: &Variables) -> Result<(), Failure> {
    let Some(text) = variables.get(&CRASH_AT).filter(|_| fail::has_failpoints()) else { return Ok(()) };
    let (point, hit) = match text.split_once(':') {
        None => (text, Ok(1)),
        Some((point, hit)) => (point, hit.parse()),
    };
    let hit: u64 = hit.map_err(|_| Failure::usage(format!("{}: `{text}` has no number", CRASH_AT.name)))?;
    let hits = AtomicU64::new(0);
    let crash = move || {
        if hits.fetch_add(1, Ordering::Relaxed) + 1 == hit {
            // No destructor runs and nothing is flushed.
            std::process::abort();
        }
    };
    fail::cfg_callback(point, crash).map_err(Failure::failed)
}
