//! The product as its users run it: real processes, real sockets.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod apply;
mod crash;
mod harness;
mod history;
mod last_good;
mod split;
mod standalone;
mod tls;
