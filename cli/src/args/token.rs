//! Arguments of `toolplane token`.

use clap::{Subcommand, ValueEnum};

use super::operator::{Confirmation, Connection, ReadConnection};

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Create an access token and print it, this once
    #[command(after_help = "\
Examples:
  toolplane token create --role node > node.token
  toolplane token create --role node --allow-registration > node.token
  toolplane token create --role registrar --description 'deploy job' --expires-in 30d")]
    Create {
        #[arg(long, value_enum)]
        role: Role,
        /// Who or what it is for
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        description: String,
        /// How long it is good for, for instance `12h` or `30d` [default: for ever]
        #[arg(long, value_name = "TIME")]
        expires_in: Option<String>,
        /// For role node: its REST endpoints may pass registrations on; what a caller may is decided by its own credential
        #[arg(long)]
        allow_registration: bool,
        #[command(flatten)]
        read: ReadConnection,
    },
    /// List the access tokens; never the tokens themselves
    #[command(after_help = "Example:\n  toolplane token list")]
    List {
        #[command(flatten)]
        read: ReadConnection,
    },
    /// Revoke an access token by its id
    #[command(after_help = "Example:\n  toolplane token revoke 01J8ZK --yes")]
    Revoke {
        token_id: String,
        #[command(flatten)]
        confirmation: Confirmation,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Everything
    Admin,
    /// Reads everything, writes upstreams; may register through a node
    Registrar,
    /// Reads everything but tokens
    Viewer,
    /// Follows the registry; passes registrations on where that is allowed; nothing else
    Node,
}
