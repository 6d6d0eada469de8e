//! Arguments of `toolplane tool`.

use clap::{Args, Subcommand};

use super::endpoint::Endpoint;
use super::operator::ReadConnection;
use super::planes::DataDirArg;
use crate::output::Format;

#[derive(Debug, Subcommand)]
pub(crate) enum ToolCommand {
    /// List tools, or find them by keywords
    #[command(after_help = "\
Examples:
  toolplane tool list --domain crm
  toolplane tool list search contact
  toolplane tool list --refused")]
    List(ListTools),
    /// Show one tool with its schema
    #[command(after_help = "Example:\n  toolplane tool schema crm_search")]
    Schema {
        name: String,
        #[command(flatten)]
        read: ReadConnection,
    },
    /// Call a tool through a node, as an MCP client would
    #[command(after_help = "\
Examples:
  toolplane tool call crm_search '{\"query\": \"ada\"}'
  echo '{\"title\": \"milk\"}' | toolplane tool call add_todo -
  toolplane tool call whoami --node http://10.0.0.7:8080/mcp --header-env Authorization=MY_TOKEN")]
    Call(CallTool),
}

#[derive(Debug, Args)]
pub(crate) struct ListTools {
    /// Words that must all occur in a tool's name or description
    pub(crate) keywords: Vec<String>,
    /// Only of this domain
    #[arg(long)]
    pub(crate) domain: Option<String>,
    /// Refused tools too, with the reason
    #[arg(long)]
    pub(crate) refused: bool,
    #[command(flatten)]
    pub(crate) read: ReadConnection,
}

#[derive(Debug, Args)]
pub(crate) struct CallTool {
    pub(crate) name: String,
    /// Arguments as a JSON object; `-` reads stdin
    #[arg(default_value = "{}")]
    pub(crate) arguments: String,
    #[command(flatten)]
    pub(crate) endpoint: Endpoint,
    /// How to print the result: its text, or the whole result as JSON
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) data_dir: DataDirArg,
}
