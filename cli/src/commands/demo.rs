//! `toolplane demo`: the gateway at work, with upstream servers of its own.

mod crm;
mod server;
mod todo;
mod units;
mod walk;

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use toolplane_registry::Domain;
use toolplane_registry::upstream::{Owner, Upstream};

use self::server::{Servers, Toolbox};
use super::gateway::Gateway;
use super::start_log;
use crate::args::DemoArgs;
use crate::env::{self, Variables};
use crate::exit::Failure;
use crate::output;
use crate::settings::{self, ControlPlane, DataDir, Logging, Node, control_plane, node};
use crate::shutdown::{self, Signals};

/// How long the servers of the demo may take to be listed.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: DemoArgs, variables: &Variables) -> Result<(), Failure> {
    let mut logging = settings::read(variables, Logging::read)?;
    if variables.get(&env::LOG_LEVEL).is_none() {
        // The walk is what there is to read.
        logging.level = "error";
    }
    let _telemetry = start_log(&logging, &settings::Telemetry::default(), &Variables::default())?;
    let signals = Signals::listen()?;
    let folder = tempfile::Builder::new()
        .prefix("toolplane-demo-")
        .tempdir()
        .map_err(|error| Failure::failed(format!("no temporary folder can be made: {error}")))?;
    let servers =
        Servers::start(vec![Box::new(todo::Todo::default()), Box::new(units::Units), Box::new(crm::Crm)])
            .await?;
    // The environment is left out on purpose: the demo is the same for everybody.
    let (dir, mut control, mut node) = settings::read(&Variables::default(), |reader| {
        let dir = DataDir::read(reader, Some(folder.path()));
        let control = ControlPlane::read(reader, &dir, &control_plane::Flags::default());
        (dir.clone(), control, Node::read(reader, &dir, &node::Flags::default()))
    })?;
    control.options.environment.upstreams = servers.list().map(upstream).collect::<Result<_, _>>()?;
    "127.0.0.1".clone_into(&mut node.host);
    node.port = args.port;
    let drain = node.options.drain_timeout;

    let gateway = Gateway::start(&dir, control, node, None).await?;
    let (url, ready) = (gateway.url(), gateway.ready(READY_TIMEOUT));
    let shutdown = CancellationToken::new();
    let walk = async {
        let walk = async {
            ready.await?;
            walk::through(&url, servers.list()).await?;
            if args.once { Ok(()) } else { output::text(&walk::how_to_connect(&url)) }
        };
        let outcome = walk.await;
        if args.once || outcome.is_err() {
            shutdown.cancel();
        }
        outcome
    };
    let running = async {
        let (served, walked) = tokio::join!(gateway.run(shutdown.clone()), walk);
        served.and(walked)
    };
    let outcome = Box::pin(shutdown::supervise(running, &shutdown, drain, signals)).await;
    servers.stop().await;
    outcome
}

fn upstream((toolbox, url): (&dyn Toolbox, &str)) -> Result<Upstream, Failure> {
    let domain = Domain::parse(toolbox.domain()).map_err(Failure::failed)?;
    Ok(Upstream {
        description: toolbox.description().to_owned(),
        owner: Owner::Environment,
        ..Upstream::new(domain, url)
    })
}
