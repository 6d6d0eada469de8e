//! Arguments of `toolplane rollout`.

use clap::Subcommand;

use super::operator::{Confirmation, Connection, ReadConnection};

/// The label that makes a node a canary, as `label=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Canary {
    pub(crate) label: String,
    pub(crate) value: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RolloutCommand {
    /// From now on, give what changes to the canaries alone: the nodes with a label
    ///
    /// All other nodes are kept at what is newest now, also those that start or reconnect meanwhile, until the rollout
    /// is promoted or aborted. At most one rollout is under way.
    #[command(after_help = "\
Examples:
  toolplane rollout start --canary ring=canary
  toolplane apply -f registry.yaml                    goes to the canaries alone
  toolplane rollout status
  toolplane rollout promote                           or: toolplane rollout abort")]
    Start {
        /// The label that canaries have, with its value
        #[arg(long, value_name = "LABEL=VALUE", value_parser = canary)]
        canary: Canary,
        /// Start even though no connected node has the label
        #[arg(long)]
        force: bool,
        /// Check everything, start nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show the rollout under way: who is a canary, who is held back, who serves or refused the newest version
    #[command(after_help = "Examples:\n  toolplane rollout status\n  toolplane rollout status --output json")]
    Status {
        #[command(flatten)]
        read: ReadConnection,
    },
    /// Give every node what the canaries have, and end the rollout
    #[command(after_help = "\
Examples:
  toolplane snapshot wait                             do the canaries serve it?
  toolplane rollout promote --yes")]
    Promote {
        #[command(flatten)]
        confirmation: Confirmation,
        #[command(flatten)]
        connection: Connection,
    },
    /// Take the canaries back to what all other nodes have, and end the rollout
    ///
    /// Tools, filters, the access policy, and the addresses and headers of upstreams are again what they were when the
    /// rollout began. Upstreams whose tools this changes are frozen: they keep those tools until `toolplane upstream
    /// resume`. Upstreams that were added meanwhile offer nothing; those that were removed stay away.
    #[command(after_help = "\
Examples:
  toolplane rollout abort --yes
  toolplane upstream resume crm")]
    Abort {
        #[command(flatten)]
        confirmation: Confirmation,
        #[command(flatten)]
        connection: Connection,
    },
}

/// Labels of nodes are given in the same form.
pub(crate) fn canary(text: &str) -> Result<Canary, String> {
    match text.split_once('=') {
        Some((label, value)) if !label.is_empty() && !value.is_empty() => {
            Ok(Canary { label: label.to_owned(), value: value.to_owned() })
        }
        _ => Err("is not `label=value`, for instance `ring=canary`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_a_label_with_a_value() {
        let told = canary("ring=a=b").unwrap();
        assert_eq!((told.label.as_str(), told.value.as_str()), ("ring", "a=b"));
        for wrong in ["ring", "ring=", "=canary", "=", ""] {
            assert!(canary(wrong).is_err(), "{wrong:?}");
        }
    }
}
