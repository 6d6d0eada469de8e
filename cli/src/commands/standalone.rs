//! `toolplane standalone`: the whole gateway in one process.

use tokio_util::sync::CancellationToken;

use super::gateway::Gateway;
use super::start_log;
use crate::args::StandaloneArgs;
use crate::env::Variables;
use crate::exit::Failure;
use crate::settings::{self, ControlPlane, DataDir, Logging, Node, control_plane, node};
use crate::shutdown::{self, Signals};

pub(crate) async fn run(args: StandaloneArgs, variables: &Variables) -> Result<(), Failure> {
    let StandaloneArgs { data_dir, listen, admin_listen } = args;
    let (logging, dir, control, node) = settings::read(variables, |reader| {
        let logging = Logging::read(reader);
        settings::refuse_unsupported(reader);
        let dir = DataDir::read(reader, data_dir.data_dir.as_deref());
        let flags = control_plane::Flags { database_url: None, listen: admin_listen.as_deref() };
        let control = ControlPlane::read(reader, &dir, &flags);
        let flags = node::Flags { listen: listen.as_deref(), control_planes: &[] };
        (logging, dir.clone(), control, Node::read(reader, &dir, &flags))
    })?;
    start_log(&logging, variables);
    let signals = Signals::listen()?;
    let drain = node.options.drain_timeout;
    let gateway = Gateway::start(&dir, control, node).await?;
    let (url, folder) = (gateway.url(), dir.path().display());
    tracing::info!(%url, data_dir = %folder, "serving MCP at {url}, data in {folder}");
    let shutdown = CancellationToken::new();
    shutdown::supervise(gateway.run(shutdown.clone()), &shutdown, drain, signals).await
}
