//! A whole node over real sockets: its public API, a fake control plane, fake upstreams.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests: whatever is missing should fail the test"
)]

mod drain;
mod harness;
mod meta_tools;
mod registration;
mod sync;
mod wire;
