//! The only way out of Toolplane to an upstream: guarded connections and an MCP client.
//!
//! # Responsibilities
//!
//! * The *url guard*: which addresses may be registered, and, at connect time, which may be connected to.
//! * One pooled HTTP client with limits on time and size, the system's authorities, no redirects and no proxy, and
//!   one more for every set of TLS settings that an upstream has of its own.
//! * Which headers an upstream receives: configured ones, those of a hook, those of the caller.
//! * Tokens by OAuth client credentials, for whoever has to show one to an upstream.
//! * Listing and calling tools over streamable HTTP, with JSON or event-stream replies, and the sessions that
//!   upstreams may ask for. Tools and results stay raw JSON, so nothing of them is lost.
//!
//! # Not here
//!
//! No decision about a caller, no admission of what was listed, no retry of a call that may have run, unless its tool
//! says that this does no harm.
//!
//! # Layout
//!
//! [`guard`] and [`tls`] are pure and used by admission too; [`connector`] is the HTTP client that obeys them; [`auth`]
//! computes headers; [`oauth`] asks for tokens; [`client`] speaks MCP; [`limits`] keeps calls within deadlines, budgets and bulkheads; [`error`]
//! says what went wrong and whether a repetition can help.

pub mod auth;
pub mod client;
pub mod connector;
pub mod error;
pub mod guard;
pub mod limits;
pub mod oauth;
pub mod tls;

pub use client::Client;
pub use connector::Connector;
pub use error::Error;
