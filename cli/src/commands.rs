//! One module per command; this one chooses.

mod apply;
mod code;
mod control_plane;
mod data_plane;
mod demo;
mod endpoint;
mod export;
pub(crate) mod folder;
mod gateway;
mod headers;
pub(crate) mod listen;
mod migrate;
mod node;
mod policy;
mod rollout;
mod snapshot;
mod standalone;
mod tls;
mod token;
mod tool;
mod upstream;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::args::{Arguments, Command};
use crate::env::{Variable, Variables};
use crate::exit::{Failure, Kind};
use crate::settings::{self, Logging};
use crate::telemetry::Telemetry;
use crate::{crash_points, output};

/// Parses the command line and does what it says.
pub(crate) async fn run() -> Result<(), Failure> {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let (variables, not_text) = Variables::of_process();
    if !not_text.is_empty() {
        let messages = not_text.iter().map(|name| format!("{name}: is no text (UTF-8)")).collect();
        return Err(Failure { kind: Kind::Usage, messages, hints: Vec::new() });
    }
    crash_points::set_up(&variables)?;
    dispatch(arguments.command, &variables).await
}

async fn dispatch(command: Command, variables: &Variables) -> Result<(), Failure> {
    match command {
        Command::Standalone(args) => Box::pin(standalone::run(args, variables)).await,
        Command::ControlPlane(args) => Box::pin(control_plane::run(args, variables)).await,
        Command::DataPlane(args) => Box::pin(data_plane::run(args, variables)).await,
        Command::Demo(args) => Box::pin(demo::run(args, variables)).await,
        Command::Migrate(args) => migrate::run(args, variables).await,
        Command::Apply(args) => Box::pin(apply::run(args, variables)).await,
        Command::Export(args) => export::run(args, variables).await,
        Command::Upstream(command) => Box::pin(upstream::run(command, variables)).await,
        Command::Policy(command) => policy::run(command, variables).await,
        Command::Tool(command) => Box::pin(tool::run(command, variables)).await,
        Command::Code(command) => Box::pin(code::run(command, variables)).await,
        Command::Node(command) => node::run(command, variables).await,
        Command::Snapshot(command) => Box::pin(snapshot::run(command, variables)).await,
        Command::Rollout(command) => Box::pin(rollout::run(command, variables)).await,
        Command::Token(command) => token::run(command, variables).await,
    }
}

/// Help and version are answers, anything else is a mistake.
fn usage(error: &clap::Error) -> Result<(), Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => output::text(&error.render().to_string()),
        _ => {
            output::say(error.render().to_string().trim_end());
            Err(Failure { kind: Kind::Usage, messages: Vec::new(), hints: Vec::new() })
        }
    }
}

/// Starts the log of a command that runs something, and tells about variables that nobody reads. What is still to be
/// exported is sent when the result is dropped.
fn start_log(
    logging: &Logging,
    settings: &settings::Telemetry,
    variables: &Variables,
) -> Result<Telemetry, Failure> {
    let telemetry = Telemetry::start(logging, settings, output::colors(variables))?;
    for name in variables.unknown() {
        tracing::warn!(variable = name, "`{name}` means nothing to this release");
    }
    for Variable { name, .. } in settings::without_effect(variables) {
        tracing::warn!(variable = name, "`{name}` is set and has no effect in this release");
    }
    if let Some(Variable { name, .. }) = settings::ignored_token_provider(variables) {
        tracing::warn!(
            variable = name,
            "the token provider is ignored, because `{name}` does not say where it may be from"
        );
    }
    Ok(telemetry)
}
