//! Arguments of `toolplane policy`.

use std::path::PathBuf;

use clap::Subcommand;

use super::operator::{Confirmation, Connection, ReadConnection};

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Show the access policy
    #[command(after_help = "Example:\n  toolplane policy get --output json > policy.json")]
    Get {
        #[command(flatten)]
        read: ReadConnection,
    },
    /// Set the access policy from a JSON file, or remove it
    ///
    /// The file holds `{"allow": {"domain": ["glob"]}, "deny": {"domain": ["glob"]}}`. A non-empty `allow` closes every
    /// domain that it does not name; `deny` beats `allow`.
    #[command(after_help = "\
Examples:
  toolplane policy set policy.json
  echo '{\"deny\": {\"crm\": [\"*_delete\"]}}' | toolplane policy set - --yes
  toolplane policy set --remove --yes")]
    Set {
        /// The file; `-` reads stdin
        #[arg(required_unless_present = "remove", conflicts_with = "remove")]
        file: Option<PathBuf>,
        /// Remove the explicit policy: the upstreams' own filters decide again
        #[arg(long)]
        remove: bool,
        /// Check everything, change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        confirmation: Confirmation,
        #[command(flatten)]
        connection: Connection,
    },
}
