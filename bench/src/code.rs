//! What a program costs: how soon it is answered, how many there can be, and whether hostile ones delay others.
//!
//! ```text
//! scripts/bench code                     everything, about 4 minutes
//! scripts/bench code --only neighbors    a node under hostile programs
//! ```
//!
//! Subjects and load generators are those of [`crate::call`].

mod cancel;
mod neighbors;
mod peer;
mod programs;
mod worker;
mod workers;

use crate::call::subject::Domain;
use crate::group::{Group, Part, one};
use crate::static_upstream::Era;
use crate::static_upstream::catalog::FIXTURE;

/// Every gateway here speaks it, on both sides.
const ERA: Era = Era::Handshake;

/// Measurements of programs.
pub(crate) const GROUP: Group = Group {
    name: "code",
    record: "code/run",
    parts: &[
        Part { name: "programs", expected: 110, run: |setting| one(programs::run(setting)) },
        Part { name: "workers", expected: 5, run: |setting| one(workers::run(setting)) },
        Part { name: "abandoned", expected: 60, run: |setting| one(cancel::run(setting)) },
        Part { name: "neighbors", expected: 50, run: |setting| one(neighbors::run(setting)) },
    ],
};

/// The tools that programs call.
fn domains() -> Vec<Domain> {
    vec![(ERA.name().to_owned(), ERA, FIXTURE.to_owned())]
}
