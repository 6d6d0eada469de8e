//! Programs on real workers.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod harness;
mod hostile;
mod language;
mod limits;
mod lying;
