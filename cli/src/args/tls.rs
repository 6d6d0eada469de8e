//! Flags for how connections to an upstream are secured.

use std::path::PathBuf;

use clap::Args;

/// All of it stands in files: what is secret does not belong on a command line.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "TLS, of upstreams at `https://`")]
pub(crate) struct TlsFields {
    /// Trust the authorities in this file and no others; PEM [default: those of the system]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Show the certificate in this file, with those that lead to its authority; PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) client_cert: Option<PathBuf>,
    /// The private key of that certificate; PEM, not encrypted
    #[arg(long, value_name = "FILE")]
    pub(crate) client_key: Option<PathBuf>,
}
