//! `toolplane standalone`: the whole gateway in one process.

use tokio_util::sync::CancellationToken;

use super::gateway::Gateway;
use super::start_log;
use crate::args::StandaloneArgs;
use crate::env::Variables;
use crate::exit::Failure;
use crate::settings::{self, ControlPlane, DataDir, Logging, Node, Planes, Python, control_plane, node};
use crate::shutdown::{self, Signals};

pub(crate) async fn run(args: StandaloneArgs, variables: &Variables) -> Result<(), Failure> {
    let StandaloneArgs { data_dir, listen, admin_listen } = args;
    let (logging, dir, mut control, mut node, python) = settings::read(variables, |reader| {
        let logging = (Logging::read(reader), settings::Telemetry::read(reader));
        settings::refuse_unsupported(reader);
        let dir = DataDir::read(reader, data_dir.data_dir.as_deref());
        let flags =
            control_plane::Flags { listen: admin_listen.as_deref(), ..control_plane::Flags::default() };
        let control = ControlPlane::read(reader, &dir, &flags);
        let flags = node::Flags { listen: listen.as_deref(), ..node::Flags::default() };
        let node = Node::read(reader, &dir, &flags);
        (logging, dir, control, node, Python::read(reader, Planes::Both))
    })?;
    let telemetry = start_log(&logging.0, &logging.1, variables)?;
    let _scraped = telemetry.listen().await?;
    let signals = Signals::listen()?;
    let drain = node.options.drain_grace + node.options.drain_timeout;
    (control.options.meter, node.options.meter) = (telemetry.meter(), telemetry.meter());
    let gateway = Gateway::start(&dir, control, node, python.as_ref()).await?;
    let (address, folder) = (gateway.address(), dir.path().display());
    // As it is bound: an address that stands for all of them must not look like loopback.
    let url = format!("http://{address}/mcp");
    tracing::info!(%url, data_dir = %folder, "serving MCP at {url}, data in {folder}");
    if !address.ip().is_loopback() {
        tracing::info!(
            "whoever reaches {address} can call tools, without authentication; set GATEWAY_HOST=127.0.0.1 to \
             serve this machine alone, or authenticate in a proxy in front"
        );
    }
    let shutdown = CancellationToken::new();
    let running = Box::pin(gateway.run(shutdown.clone()));
    shutdown::supervise(running, &shutdown, drain, signals).await
}
