//! The control plane through its public face: real gRPC on a real port, a real store, scripted upstreams.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod admin;
mod harness;
mod oauth_upstreams;
mod refresh;
mod registration;
mod replicas;
mod restart;
mod rollouts;
mod secured_upstreams;
mod snapshots;
mod stream;
mod tls;
