//! The sync protocol in a simulated network: the code of both planes, seeded faults, invariants at every step.
//!
//! Two simulations share the generator of registries and the ledger of what was published:
//!
//! * `fleet` runs followers and control planes as hosts of a simulated network, over gRPC, with time of its own;
//! * `messages` sets the state machines of both sides against each other over a channel that loses, repeats,
//!   delays and reorders, which TCP does not.
//!
//! A run is a function of its seed. A failure prints the seed and the command that repeats it.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod control;
mod database;
mod faults;
mod fleet;
mod ledger;
mod messages;
mod node;
mod registries;
mod seeds;
mod trace;
mod wire;
mod world;
