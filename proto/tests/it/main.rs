//! What must hold of the wire across releases.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod skew;
mod state_tables;
mod wire_lock;
