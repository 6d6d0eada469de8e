//! The product as its users run it: real processes, real sockets.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod apply;
mod canary;
mod checker;
mod clock;
mod code_mode;
mod crash;
mod crash_points;
mod database;
mod delta_bytes;
mod disk_full;
mod failover;
mod fleet;
mod garbage;
mod harness;
mod history;
mod hostile_control_plane;
mod last_good;
mod metrics;
mod network;
mod oauth_upstream;
mod partition;
mod python_hooks;
mod rolling;
mod secured_upstream;
mod split;
mod standalone;
mod tls;
