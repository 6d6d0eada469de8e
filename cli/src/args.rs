//! The command tree: what was typed, not what it means.

mod code;
mod endpoint;
mod limits;
mod manifest;
mod node;
mod oauth;
mod operator;
mod planes;
mod policy;
mod rollout;
mod snapshot;
mod tls;
mod token;
mod tool;
mod upstream;

pub(crate) use code::{CodeCommand, RunCode};
pub(crate) use endpoint::Endpoint;
pub(crate) use limits::LimitFields;
pub(crate) use manifest::{ApplyArgs, ExportArgs};
pub(crate) use node::NodeCommand;
pub(crate) use oauth::{AuthMethod, OAuthFields};
pub(crate) use operator::{Connection, ReadConnection};
pub(crate) use planes::{ControlPlaneArgs, DataDirArg, DataPlaneArgs, DemoArgs, MigrateArgs, StandaloneArgs};
pub(crate) use policy::PolicyCommand;
pub(crate) use rollout::{Canary, RolloutCommand};
pub(crate) use snapshot::SnapshotCommand;
pub(crate) use tls::TlsFields;
pub(crate) use token::{Role, TokenCommand};
pub(crate) use tool::{CallTool, ListTools, ToolCommand};
pub(crate) use upstream::{Clearable, SchemaPolicy, SessionMode, UpstreamCommand, UpstreamFields};

use clap::{Parser, Subcommand};

/// One MCP endpoint in front of many MCP servers.
///
/// Toolplane is a gateway for the Model Context Protocol: a client connects to one address, discovers the tools of
/// many upstream servers, reads their schemas and calls them. `standalone` is all of it in one process; `control-plane`
/// and `data-plane` are the two halves for a fleet; the other commands are for operators.
#[derive(Debug, Parser)]
#[command(
    name = "toolplane",
    version,
    propagate_version = true,
    after_help = "\
Examples:
  toolplane demo                                      see it work, with servers of its own
  GATEWAY_UPSTREAMS='{\"crm\": \"http://crm:8080/mcp\"}' toolplane standalone
  toolplane upstream add crm http://crm:8080/mcp      while a gateway runs on this machine
  toolplane tool call crm_search '{\"query\": \"ada\"}'

Exit codes: 0 done, 1 failed or refused, 2 wrong usage or configuration, 3 no gateway answered.
Settings come from flags, then from environment variables (docs/OPERATIONS.md lists them), then from defaults."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one for the life of a process")]
pub(crate) enum Command {
    Standalone(StandaloneArgs),
    ControlPlane(ControlPlaneArgs),
    DataPlane(DataPlaneArgs),
    Demo(DemoArgs),
    Migrate(MigrateArgs),
    Apply(ApplyArgs),
    Export(ExportArgs),
    /// Register upstream MCP servers, look at them, change and remove them
    #[command(subcommand)]
    Upstream(UpstreamCommand),
    /// Look at and set the access policy: which tools are offered at all
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Find tools, read their schemas, call them
    #[command(subcommand)]
    Tool(ToolCommand),
    /// Run programs that call tools
    #[command(subcommand)]
    Code(CodeCommand),
    /// Look at the data-plane nodes
    #[command(subcommand)]
    Node(NodeCommand),
    /// Look at the versions of the registry, go back to one, wait until the nodes serve one
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Give what changes to some nodes first, then to all or to none
    #[command(subcommand)]
    Rollout(RolloutCommand),
    /// Create, list and revoke access tokens
    #[command(subcommand)]
    Token(TokenCommand),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn help_of(command: &mut clap::Command, path: &str, out: &mut String) {
        let name = format!("{path} {}", command.get_name()).trim().to_owned();
        let help = command.clone().term_width(100).render_long_help();
        out.extend(["$ ", &name, " --help\n", &help.to_string(), "\n"]);
        for inner in command.get_subcommands_mut().filter(|inner| inner.get_name() != "help") {
            help_of(inner, &name, out);
        }
    }

    #[test]
    fn help_teaches() {
        let mut help = String::new();
        let mut command = Arguments::command();
        command.build();
        help_of(&mut command, "", &mut help);
        insta::assert_snapshot!(help);
    }

    #[test]
    fn the_tree_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn no_flag_takes_a_secret() {
        fn check(command: &clap::Command) {
            for argument in command.get_arguments() {
                let id = argument.get_id().as_str();
                let takes_secret = ["token", "password", "secret"].contains(&id);
                assert!(!takes_secret, "{} of {}", id, command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Arguments::command());
    }
}
