//! Arguments of `toolplane node`.

use clap::Subcommand;

use super::operator::ReadConnection;

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// List the nodes and the version that each serves
    #[command(after_help = "Example:\n  toolplane node list")]
    List {
        #[command(flatten)]
        read: ReadConnection,
    },
}
