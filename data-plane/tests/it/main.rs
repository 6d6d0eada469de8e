//! A whole node over real sockets: its public API, a fake control plane, fake upstreams.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests: whatever is missing should fail the test"
)]

mod both_paths;
mod cancelling;
mod capacity;
mod code_mode;
mod direct;
mod drain;
mod harness;
mod hook_services;
mod hook_visibility;
mod hooks;
mod input_required;
mod limits;
mod lossless;
mod lying;
mod meta_tools;
mod registration;
mod secured_upstreams;
mod slow_clients;
mod streaming;
mod sync;
mod upstreams;
mod wire;
