//! The control plane: the one writer of the registry.
//!
//! # Responsibilities
//!
//! * Admission: nothing enters the store that breaks a rule; refusals are typed and change nothing.
//! * Refresh: lists upstreams' tools on registration, on demand and on an interval.
//! * Persistence behind [`store::Store`], with a version per commit and an audit record per change.
//! * Snapshots: builds them, and streams them to nodes.
//! * The admin API, for people and programs with tokens.
//!
//! # Not here
//!
//! It never executes a tool, and no caller of a tool ever talks to it.
//!
//! # Layout
//!
//! [`service`] assembles the parts in order. A change flows `admin/` or [`registration`] → [`admission`] →
//! [`refresh`] → [`store`] → [`snapshots`] → [`stream`]; [`registrar`] is the one place that walks this path, and
//! [`credentials`] says what an upstream is shown when it is listed.

pub mod admin;
pub mod admission;
pub mod clock;
pub mod credentials;
pub mod environment;
pub mod history;
mod ids;
pub mod metrics;
pub mod options;
pub mod refresh;
pub mod registrar;
pub mod registration;
mod request_keys;
pub mod retention;
pub mod rollout;
pub mod service;
pub mod snapshots;
pub mod standing;
pub mod store;
pub mod stream;

pub use options::Options;
pub use service::{Listener, Service};
