//! Arguments that the operator's commands share.

use std::path::PathBuf;

use clap::Args;

use super::planes::DataDirArg;
use crate::output::Format;

/// How the control plane is reached. Without any of these: the gateway of the data folder.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    #[command(flatten)]
    pub(crate) data_dir: DataDirArg,
    /// Address of a control plane; may be repeated [default: `TOOLPLANE_CONTROL_PLANE_ADDRESS`]
    #[arg(long = "control-plane", value_name = "ADDRESS")]
    pub(crate) control_planes: Vec<String>,
    /// File with the access token [default: `TOOLPLANE_TOKEN`, `TOOLPLANE_TOKEN_FILE`]
    #[arg(long, value_name = "PATH")]
    pub(crate) token_file: Option<PathBuf>,
}

/// A connection, and how to print what comes back.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ReadConnection {
    /// How to print the answer
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Confirmation {
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}
