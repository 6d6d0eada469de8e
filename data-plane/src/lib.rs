//! A data-plane node: serves the meta-tools and the registration proxy from the snapshot it holds.
//!
//! # Responsibilities
//!
//! * Following the registry: subscribe, check, swap, acknowledge; serve last-known-good when nobody answers.
//! * The MCP endpoint with its meta-tools, for handshake-era and 2026-07-28 clients alike, without sessions.
//! * Executing tools on upstreams, with the caller's headers and the domain's, and guarding what comes back.
//! * The REST registration endpoints, forwarded to the control plane; liveness and readiness probes.
//!
//! # Not here
//!
//! A node never writes the registry, never lists an upstream's tools, never talks to another node, and decides
//! nothing about credentials for registration: the control plane does.
//!
//! # Layout
//!
//! [`Options`] → [`Service`] → [`Handle`]. `service` assembles; `sync` follows the control plane and `live` holds
//! what it accepted; `mcp` names the meta-tools and dispatches to one file each; `rest` forwards registration and
//! answers probes; `shed` refuses what is too much; `caller` says who is calling and what that caller sees, which is for
//! the hooks to say where there are any ([`hooks`]); `code_mode` runs programs whose calls take the same way.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use toolplane_data_plane::{Address, Options, Service};
//!
//! let options = Options {
//!     control_planes: vec![Address::parse("http://127.0.0.1:7400")?],
//!     ..Options::default()
//! };
//! let service = Service::new(options)?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
//! service.run(listener, tokio_util::sync::CancellationToken::new()).await?;
//! # Ok(())
//! # }
//! ```

mod caller;
pub mod channel;
pub mod code_mode;
pub mod control_plane;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod held_back;
pub mod hooks;
pub mod jitter;
pub mod live;
mod mcp;
pub mod metrics;
pub mod options;
mod output_guard;
mod rest;
mod serve;
mod service;
pub mod shed;
mod site;
mod sync;
#[cfg(feature = "test-util")]
pub mod test_util;

pub use options::{Address, Options};
pub use service::{Error, Handle, Service};
