//! TLS between the planes, on rustls and ring.
//!
//! # Responsibilities
//!
//! * Certificates, keys and authorities come from PEM files; every mistake in them is a typed rejection, all at once.
//! * [`server`]: accepts connections, asks for client certificates where an authority for them is given, and takes
//!   changed files up without a restart. A file that does not hold leaves the certificate in use.
//! * [`client`]: connects, and reads its files anew for each connection, so that changed ones need no restart.
//!
//! # Not here
//!
//! Nothing about gRPC but the protocol's name (`h2`), and no TLS towards upstreams: that is `toolplane-upstream`.

pub mod client;
mod files;
pub mod server;
mod validity;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// What both sides negotiate: gRPC is HTTP/2.
const ALPN: &[u8] = b"h2";

/// Named wherever a configuration is built: nothing here depends on a process-wide default.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
