//! The pure model of Toolplane: what is registered, frozen into snapshots, and what a caller may see of it.
//!
//! # Responsibilities
//!
//! * Names: domains, groups, original and published tool names, collisions and aliases.
//! * Ingest rules: descriptions are cleaned, schemas are checked and bounded, one bad tool harms no sibling.
//! * Access policies, digests, immutable snapshots with their consistency check, views for a caller.
//! * Reading a view: keyword search, suggestions, signatures, the argument check.
//!
//! # Not here
//!
//! No I/O, no clock, no randomness, no wire formats: those live in the planes and in `toolplane-proto`.
//!
//! # Layout
//!
//! [`name`] and [`tool`] are the nouns; [`upstream`] is what an operator registers; [`ingest`] turns what an
//! upstream listed into admitted tools; [`snapshot`] freezes the result; [`view`] says what one caller sees and
//! under which names; [`search`], [`suggest`], [`signature`] and [`arguments`] read a view.
//!
//! ```
//! use toolplane_registry::{Domain, Version, snapshot::{Builder, DomainSnapshot, Endpoint}};
//!
//! let domain = Domain::parse("apollo").unwrap();
//! let endpoint = Endpoint::plain("http://127.0.0.1:9/mcp");
//! let entry = DomainSnapshot::new(domain, "a CRM".to_owned(), endpoint, Vec::new());
//! let snapshot = Builder::new(Version::new("store-1", 1)).domain(entry).build().unwrap();
//! assert_eq!(snapshot.tool_count(), 0);
//! ```

pub mod arguments;
pub mod code;
pub mod digest;
pub mod ingest;
pub mod json;
pub mod limits;
pub mod name;
pub mod oauth;
pub mod policy;
pub mod protocol;
pub mod rejection;
pub mod sanitize;
pub mod schema;
pub mod search;
pub mod secret;
pub mod signature;
pub mod snapshot;
pub mod suggest;
#[cfg(any(test, feature = "test-util"))]
pub mod test_util;
pub mod tls;
pub mod tool;
pub mod upstream;
pub mod version;
pub mod view;

pub use code::ErrorCode;
pub use digest::Digest;
pub use json::RawJson;
pub use limits::Limits;
pub use name::{Domain, Group, ToolName};
pub use oauth::OAuth;
pub use protocol::Protocol;
pub use rejection::{Rejection, Rule};
pub use secret::Secret;
pub use snapshot::{RequestKey, Snapshot};
pub use tls::Tls;
pub use tool::Tool;
pub use version::Version;
pub use view::View;
