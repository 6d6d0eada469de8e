//! `toolplane code`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::endpoint::Endpoint;
use super::planes::DataDirArg;
use crate::output::Format;

#[derive(Debug, Subcommand)]
pub(crate) enum CodeCommand {
    /// Run a Python file on a node, as a model would
    #[command(after_help = "\
Examples:
  toolplane code run report.py
  echo 'await crm_search(query=\"ada\")' | toolplane code run -
  toolplane code run report.py --node http://10.0.0.7:8080/mcp --header-env Authorization=MY_TOKEN

The node must have GATEWAY_CODE_MODE=true.")]
    Run(RunCode),
}

#[derive(Debug, Args)]
pub(crate) struct RunCode {
    /// The program; `-` reads stdin
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) endpoint: Endpoint,
    /// How to print the outcome: what was printed and the result, or everything as JSON
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) data_dir: DataDirArg,
}
