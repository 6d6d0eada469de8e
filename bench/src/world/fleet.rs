//! A control plane, its nodes, and clients with the tokens they need.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use toolplane_proto::admin::node_service_client::NodeServiceClient;
use toolplane_proto::admin::snapshot_service_client::SnapshotServiceClient;
use toolplane_proto::admin::token_service_client::TokenServiceClient;
use toolplane_proto::admin::upstream_service_client::UpstreamServiceClient;
use toolplane_proto::admin::{self, Role};
use toolplane_proto::sync::registration_service_client::RegistrationServiceClient;

use super::child::{Child, Program, free_port};
use super::http;
use super::process::{PATIENCE, Process, Setup};

/// Where everybody's data are; removed at the end.
#[derive(Debug)]
pub(crate) struct Fleet {
    folder: TempDir,
    binary: PathBuf,
    pub(crate) control_plane: ControlPlane,
    pub(crate) nodes: Vec<Node>,
}

/// A running control plane.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    pub(crate) process: Process,
    pub(crate) address: String,
    channel: Channel,
    admin: Bearer,
    node: Bearer,
    token_file: PathBuf,
}

/// A running node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) process: Process,
    pub(crate) url: String,
}

/// Adds a bearer token to every request.
#[derive(Debug, Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

pub(crate) type Client = InterceptedService<Channel, Bearer>;

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

impl Bearer {
    fn new(secret: &str) -> anyhow::Result<Self> {
        Ok(Self(format!("Bearer {}", secret.trim()).parse()?))
    }
}

impl Fleet {
    /// Starts a control plane on a database that is empty yet, and no node.
    pub(crate) async fn start(binary: &Path, database_url: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let control_plane = ControlPlane::start(binary, folder.path(), database_url).await?;
        Ok(Self { folder, binary: binary.to_owned(), control_plane, nodes: Vec::new() })
    }

    /// Adds nodes until there are so many; each is ready then.
    pub(crate) async fn grow(&mut self, nodes: usize) -> anyhow::Result<()> {
        while self.nodes.len() < nodes {
            let name = format!("node-{}", self.nodes.len());
            let node = self.node(&name, &self.control_plane.address)?;
            self.nodes.push(Node::started(node).await?);
        }
        Ok(())
    }

    /// Starts a node that follows whoever answers at the address; what it held under that name it holds again.
    pub(crate) fn node(&self, name: &str, address: &str) -> anyhow::Result<Process> {
        spawn_node(&self.binary, address, &self.control_plane.token_file, self.path(name))
    }

    /// Starts a node whose log nobody reads; it is ready then. Tells where it serves.
    pub(crate) async fn quiet_node(&self, name: &str) -> anyhow::Result<(Child, String)> {
        let ControlPlane { address, token_file, .. } = &self.control_plane;
        let port = free_port()?;
        let program = Program::new(&self.binary, &["data-plane", "--control-plane", address])
            .with("TOOLPLANE_DATA_PLANE_TOKEN_FILE", token_file)
            .with("TOOLPLANE_DATA_DIR", self.path(name))
            .with("GATEWAY_HOST", "127.0.0.1")
            .with("GATEWAY_PORT", port.to_string());
        let mut child = program.start()?;
        let authority = format!("127.0.0.1:{port}");
        child.until_ready(name, &format!("http://{authority}")).await?;
        Ok((child, authority))
    }

    /// Where a node has its data.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Ends every node.
    pub(crate) async fn dismiss_nodes(&mut self) -> anyhow::Result<()> {
        for node in self.nodes.drain(..) {
            node.process.kill().await?;
        }
        Ok(())
    }

    /// Ends the control plane and hands over what is left.
    pub(crate) async fn lose_control_plane(mut self) -> anyhow::Result<Orphan> {
        self.dismiss_nodes().await?;
        let Self {
            folder,
            binary,
            control_plane: ControlPlane { process, address, token_file, .. },
            nodes: _,
        } = self;
        process.kill().await?;
        Ok(Orphan { folder, binary, address, token_file })
    }
}

fn spawn_node(binary: &Path, address: &str, token: &Path, data_dir: PathBuf) -> anyhow::Result<Process> {
    let token = token.display().to_string();
    let arguments = ["data-plane", "--control-plane", address, "--token-file", &token];
    let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
    Setup { binary: binary.to_owned(), arguments, data_dir, secret_key_file: None }.spawn()
}

/// What nodes kept on their disks, and nobody to ask.
#[derive(Debug)]
pub(crate) struct Orphan {
    folder: TempDir,
    binary: PathBuf,
    address: String,
    token_file: PathBuf,
}

impl Orphan {
    /// Starts a node that was part of the fleet.
    pub(crate) fn node(&self, name: &str) -> anyhow::Result<Process> {
        spawn_node(&self.binary, &self.address, &self.token_file, self.folder.path().join(name))
    }
}

impl Node {
    /// Waits until it is ready.
    pub(crate) async fn started(process: Process) -> anyhow::Result<Self> {
        let url = process.address().await?;
        let ready = async {
            while !http::is_ready(&url).await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.context("a node does not become ready")?;
        Ok(Self { process, url })
    }

    /// Waits until the node says that it serves the version or a later one.
    pub(crate) async fn serves(&self, version: u64) -> anyhow::Result<()> {
        self.process.until(|said| said.served >= version).await
    }
}

impl ControlPlane {
    async fn start(binary: &Path, folder: &Path, database_url: &str) -> anyhow::Result<Self> {
        let data_dir = folder.join("control");
        let arguments = ["control-plane", "--listen", "127.0.0.1:0", "--database-url", database_url];
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let key = folder.join("secret.key");
        std::fs::write(&key, "ab".repeat(32))?;
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600))?;
        let setup = Setup {
            binary: binary.to_owned(),
            arguments,
            data_dir: data_dir.clone(),
            secret_key_file: Some(key),
        };
        let process = setup.spawn()?;
        let address = process.address().await?;
        let channel = Endpoint::from_shared(address.clone())?.tcp_nodelay(true).connect().await?;
        let admin = Bearer::new(&std::fs::read_to_string(data_dir.join("admin.token"))?)?;
        let mut tokens = TokenServiceClient::new(InterceptedService::new(channel.clone(), admin.clone()));
        let request = admin::CreateTokenRequest { role: Role::Node.into(), ..Default::default() };
        let secret = tokens.create_token(request).await?.into_inner().secret;
        let token_file = folder.join("node.token");
        std::fs::write(&token_file, &secret)?;
        Ok(Self { process, address, channel, admin, node: Bearer::new(&secret)?, token_file })
    }

    /// Registers an upstream under a domain.
    pub(crate) async fn register(&self, domain: &str, url: &str) -> anyhow::Result<()> {
        let upstream =
            admin::Upstream { domain: domain.to_owned(), url: url.to_owned(), ..Default::default() };
        let request = admin::CreateUpstreamRequest { upstream: Some(upstream), ..Default::default() };
        self.upstreams().create_upstream(request).await?;
        Ok(())
    }

    fn client(&self) -> Client {
        InterceptedService::new(self.channel.clone(), self.admin.clone())
    }

    pub(crate) fn upstreams(&self) -> UpstreamServiceClient<Client> {
        UpstreamServiceClient::new(self.client())
    }

    pub(crate) fn registration(&self) -> RegistrationServiceClient<Client> {
        RegistrationServiceClient::new(self.client())
    }

    /// A connection of its own, as a node has.
    pub(crate) async fn node_client(&self) -> anyhow::Result<Client> {
        let channel = Endpoint::from_shared(self.address.clone())?.tcp_nodelay(true).connect().await?;
        Ok(InterceptedService::new(channel, self.node.clone()))
    }

    /// The credential that a caller of the registration endpoints shows.
    pub(crate) fn credential(&self) -> anyhow::Result<String> {
        Ok(self.admin.0.to_str()?.to_owned())
    }

    /// Waits until the control plane knows that every node serves the version.
    pub(crate) async fn confirmed(&self, version: u64, nodes: usize) -> anyhow::Result<()> {
        let mut snapshots = SnapshotServiceClient::new(self.client());
        let request = admin::WaitForVersionRequest { version, ..Default::default() };
        let mut answers = snapshots.wait_for_version(request).await?.into_inner();
        while let Some(answer) = answers.message().await? {
            if answer.done {
                let connected = answer.connected as usize;
                ensure!(answer.reached && connected == nodes, "{answer:?} where {nodes} nodes are expected");
                return Ok(());
            }
        }
        anyhow::bail!("the control plane does not say whether version {version} is served")
    }

    /// The newest version.
    pub(crate) async fn newest(&self) -> anyhow::Result<u64> {
        let mut nodes = NodeServiceClient::new(self.client());
        let answer = nodes.list_nodes(admin::ListNodesRequest::default()).await?.into_inner();
        Ok(answer.latest.context("a version")?.number)
    }
}
