//! Arguments of commands that call a node as an MCP client does.

use clap::Args;

/// Which node is called, with which headers, and for how long.
#[derive(Debug, Args)]
pub(crate) struct Endpoint {
    /// MCP endpoint of a node [default: `TOOLPLANE_NODE_URL`, or the gateway of the data folder]
    #[arg(long, value_name = "URL")]
    pub(crate) node: Option<String>,
    /// Send a header whose value is in an environment variable; may be repeated
    #[arg(long, value_name = "HEADER=VARIABLE")]
    pub(crate) header_env: Vec<String>,
    /// Send a header whose value is in a file; may be repeated
    #[arg(long, value_name = "HEADER=PATH")]
    pub(crate) header_file: Vec<String>,
    /// Longest time to wait, in seconds
    #[arg(long, default_value_t = 60)]
    pub(crate) timeout: u64,
}
