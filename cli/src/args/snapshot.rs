//! Arguments of `toolplane snapshot`.

use clap::Subcommand;

use super::operator::{Confirmation, Connection, ReadConnection};

#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// List the versions of the registry, newest first, with the nodes that refused one
    #[command(after_help = "Examples:\n  toolplane snapshot list\n  toolplane snapshot list --limit 5")]
    List {
        /// How many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        #[command(flatten)]
        read: ReadConnection,
    },
    /// Show a version: its tools, its access policy, why a node refused it
    #[command(after_help = "Examples:\n  toolplane snapshot get\n  toolplane snapshot get 12 --output json")]
    Get {
        /// The version [default: the newest]
        #[arg(id = "of", value_name = "VERSION", value_parser = version, default_value = "0", hide_default_value = true)]
        version: u64,
        #[command(flatten)]
        read: ReadConnection,
    },
    /// Show which tools two versions do not have in common
    #[command(after_help = "Examples:\n  toolplane snapshot diff 12\n  toolplane snapshot diff 12 15")]
    Diff {
        /// The older version
        #[arg(value_parser = version)]
        from: u64,
        /// The newer version [default: the newest]
        #[arg(value_parser = version, default_value = "0", hide_default_value = true)]
        to: u64,
        #[command(flatten)]
        read: ReadConnection,
    },
    /// Bring the tools and the access policy of an older version back, as a new version
    ///
    /// Addresses and credentials stay as they are. Upstreams whose tools this changes are frozen: they keep those tools
    /// until `toolplane upstream resume`. Upstreams that were added since then offer nothing meanwhile; those that were
    /// removed stay away.
    #[command(after_help = "\
Examples:
  toolplane snapshot diff 12
  toolplane snapshot rollback 12 --yes
  toolplane upstream resume crm")]
    Rollback {
        /// The version to go back to
        #[arg(id = "of", value_name = "VERSION", value_parser = version)]
        version: u64,
        #[command(flatten)]
        confirmation: Confirmation,
        #[command(flatten)]
        connection: Connection,
    },
    /// Wait until the connected nodes serve a version
    ///
    /// Fails when the time is over, and at once when too many nodes have refused the version.
    #[command(after_help = "\
Examples:
  toolplane snapshot wait
  toolplane snapshot wait 12 --share 0.5 --timeout 300")]
    Wait {
        /// The version [default: the newest]
        #[arg(id = "of", value_name = "VERSION", value_parser = version, default_value = "0", hide_default_value = true)]
        version: u64,
        /// How many of the nodes will do, from above 0 to 1
        #[arg(long, default_value_t = 1.0)]
        share: f64,
        /// Longest time to wait, in seconds
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(0..=3600))]
        timeout: u32,
        #[command(flatten)]
        read: ReadConnection,
    },
}

/// Versions are shown as `v12`, so that is understood too.
fn version(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix('v').unwrap_or(text);
    digits.parse().map_err(|_| "is no version: a number such as `12` or `v12` is".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_it_is_shown() {
        assert_eq!((version("12"), version("v7")), (Ok(12), Ok(7)));
        assert!(version("latest").is_err() && version("v").is_err());
    }
}
