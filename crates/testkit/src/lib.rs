//! Development-only fakes that run for real: servers on port 0, databases in temporary places.
//!
//! # Responsibilities
//!
//! * Standing in for what the planes talk to, over real sockets, with faults on demand.
//! * Letting tests wait for events instead of sleeping.
//!
//! # Not here
//!
//! Nothing that production code depends on, and no knowledge of the crates under test.
//!
//! # Layout
//!
//! One module per fake.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "test support: whatever fails here should fail the test"
)]

pub mod authority;
pub mod database;
pub mod fake_control_plane;
pub mod fake_upstream;
pub mod fault_proxy;
pub mod generated;
pub mod raw_node;
pub mod raw_upstream;
pub mod token_endpoint;
pub mod tokens;

pub use authority::Authority;
pub use database::{PrivatePostgres, TestDatabase};
pub use fake_control_plane::FakeControlPlane;
pub use fake_upstream::FakeUpstream;
pub use fault_proxy::FaultProxy;
pub use raw_node::RawNode;
pub use raw_upstream::RawUpstream;
pub use token_endpoint::TokenEndpoint;
