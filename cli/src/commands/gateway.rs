//! The whole gateway in one process: a control plane, and a node that speaks to it through a socket.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use toolplane_control_plane as control;
use toolplane_data_plane as data;
use toolplane_registry::Secret;

use super::folder::{self, Folder};
use super::listen;
use crate::exit::Failure;
use crate::python::{Runner, alongside};
use crate::settings::control_plane::Listen;
use crate::settings::{ControlPlane, DataDir, Node, Planes, Python};

/// The name under which the node of the process is known.
const NODE_ID: &str = "standalone";

/// Both planes, ready to run.
#[derive(Debug)]
pub(crate) struct Gateway {
    folder: Folder,
    control: control::Service,
    admin: Vec<control::Listener>,
    node: data::Service,
    python: Option<Runner>,
    mcp: TcpListener,
    address: SocketAddr,
}

impl Gateway {
    /// Does everything that can fail for a reason an operator must mend.
    pub(crate) async fn start(
        dir: &DataDir,
        mut control: ControlPlane,
        mut node: Node,
        python: Option<&Python>,
    ) -> Result<Self, Failure> {
        let mut folder = Folder::open(dir.path(), &dir.lock())?;
        let python = Runner::start(python, dir.path(), Planes::Both).await?;
        if let Some(runner) = &python {
            runner.serve_control_plane(&mut control);
            runner.serve_node(&mut node);
        }
        let (mcp, address) = listen::tcp(&node.host, node.port).await?;
        let socket = match &control.listen {
            Some(Listen::Unix(path)) => path.clone(),
            Some(Listen::Tcp(_)) | None => dir.admin_socket(),
        };
        let mut admin = vec![control::Listener::Unix(folder.listen(socket.clone())?)];
        if let Some(Listen::Tcp(address)) = &control.listen {
            admin.push(control::Listener::Tcp(
                listen::tcp(&address.ip().to_string(), address.port()).await?.0,
            ));
        }
        let token_file = dir.node_token();
        let mut options = control.options;
        options.node_token_file = Some(token_file.clone());
        let service = control::Service::start(options).await.map_err(listen::control_failure)?;
        let node_service = node_service(dir, node, data::Address::Unix(socket.clone()), &token_file)?;
        folder.note(dir.admin_url(), &format!("unix:{}", socket.display()))?;
        folder.note(dir.node_url(), &listen::mcp_url(address))?;
        Ok(Self { folder, control: service, admin, node: node_service, python, mcp, address })
    }

    /// Where the MCP endpoint listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The MCP endpoint, as a client on this machine writes it.
    pub(crate) fn url(&self) -> String {
        listen::mcp_url(self.address)
    }

    /// Says when every upstream was asked for its tools and the node serves the answers, or did not in time.
    pub(crate) fn ready(&self, patience: Duration) -> impl Future<Output = Result<(), Failure>> + use<> {
        let (mut published, node) = (self.control.snapshots().subscribe(), self.node.handle());
        async move {
            let late = || Failure::failed("the gateway did not get ready in time");
            let listed =
                published.wait_for(|state| !state.snapshot.domains().values().any(|entry| entry.pending()));
            let state = tokio::time::timeout(patience, listed).await.map_err(|_| late())?;
            let version = state.map_err(Failure::failed)?.snapshot.version().clone();
            if node.live().wait_for(&version, patience).await { Ok(()) } else { Err(late()) }
        }
    }

    /// Serves until told to stop. The node drains first: registrations in flight need the control plane.
    pub(crate) async fn run(self, shutdown: CancellationToken) -> Result<(), Failure> {
        let Self { folder, control, admin, node, python, mcp, address: _ } = self;
        let control_stop = CancellationToken::new();
        let control = async {
            let outcome = control.run(admin, control_stop.clone()).await;
            shutdown.cancel();
            outcome.map_err(listen::control_failure)
        };
        let node = async {
            let outcome = node.run(mcp, shutdown.clone()).await;
            control_stop.cancel();
            outcome.map_err(Failure::failed)
        };
        let (control, node) = Box::pin(alongside(python, async { tokio::join!(control, node) })).await;
        drop(folder);
        control.and(node)
    }
}

fn node_service(
    dir: &DataDir,
    node: Node,
    control_plane: data::Address,
    token_file: &std::path::Path,
) -> Result<data::Service, Failure> {
    let token = std::fs::read_to_string(token_file)
        .map_err(|error| Failure::failed(format!("`{}` cannot be read: {error}", token_file.display())))?;
    folder::make_private(&dir.node())?;
    let options = data::Options {
        node_id: if node.has_id { node.options.node_id } else { NODE_ID.to_owned() },
        control_planes: vec![control_plane],
        node_token: Some(Secret::new(token.trim().to_owned())),
        ..node.options
    };
    data::Service::new(options).map_err(listen::node_failure)
}
