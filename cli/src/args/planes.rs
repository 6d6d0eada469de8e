//! Arguments of the commands that run something.

use std::path::PathBuf;

use clap::Args;

/// Run the whole gateway in one process, on SQLite
///
/// Honors every `GATEWAY_*` variable. Data lie in the data folder; commands on the same machine find the gateway there
/// without any setting. Several gateways run side by side with different `GATEWAY_PORT` and `TOOLPLANE_DATA_DIR`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  toolplane standalone
  GATEWAY_UPSTREAMS='{\"crm\": \"http://crm:8080/mcp\"}' GATEWAY_PORT=9000 toolplane standalone
  GATEWAY_REGISTRATION_TOKEN=… toolplane standalone --data-dir /var/lib/toolplane

Clients connect to http://HOST:PORT/mcp; /healthz and /readyz are for probes.")]
pub(crate) struct StandaloneArgs {
    #[command(flatten)]
    pub(crate) data_dir: DataDirArg,
    /// Address of the MCP endpoint [default: `GATEWAY_HOST` and `GATEWAY_PORT`, 0.0.0.0:8080]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// Address of the admin API [default: a socket in the data folder]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin_listen: Option<String>,
}

/// Run a control plane: it keeps the registry and tells the nodes
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  toolplane control-plane --listen 127.0.0.1:7400
  TOOLPLANE_CONTROL_PLANE_DATABASE_URL=postgres://toolplane@db/toolplane \\
  TOOLPLANE_SECRET_KEY_FILE=/etc/toolplane/secret.key toolplane control-plane --listen 0.0.0.0:7400 \\
    --tls-cert-file /etc/toolplane/tls.crt --tls-key-file /etc/toolplane/tls.key --tls-client-ca-file /etc/toolplane/ca.crt

Several control planes may share one Postgres database. A URL with a password belongs in the variable, not in the flag.")]
pub(crate) struct ControlPlaneArgs {
    #[command(flatten)]
    pub(crate) data_dir: DataDirArg,
    /// Where the registry is kept: `sqlite:PATH` or `postgres://…` [default: SQLite in the data folder]
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// Address of the gRPC API: `ADDRESS:PORT` or `unix:PATH` [default: 127.0.0.1:7400]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Serve TLS with this certificate chain, PEM; changed files are taken up without a restart
    #[arg(long, value_name = "PATH")]
    pub(crate) tls_cert_file: Option<PathBuf>,
    /// The key of the certificate, PEM
    #[arg(long, value_name = "PATH")]
    pub(crate) tls_key_file: Option<PathBuf>,
    /// Let in only clients with a certificate of these authorities, PEM
    #[arg(long, value_name = "PATH")]
    pub(crate) tls_client_ca_file: Option<PathBuf>,
}

/// Run a data-plane node: it serves MCP clients
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  toolplane token create --role node > node.token
  toolplane data-plane --control-plane https://10.0.0.5:7400 --ca-file ca.crt --token-file node.token

A node goes on serving what it last accepted while no control plane answers.")]
pub(crate) struct DataPlaneArgs {
    #[command(flatten)]
    pub(crate) data_dir: DataDirArg,
    /// Address of the MCP endpoint [default: `GATEWAY_HOST` and `GATEWAY_PORT`, 0.0.0.0:8080]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// Address of a control plane; may be repeated
    #[arg(long = "control-plane", value_name = "ADDRESS")]
    pub(crate) control_planes: Vec<String>,
    /// File with the node token
    #[arg(long, value_name = "PATH")]
    pub(crate) token_file: Option<PathBuf>,
    /// Trust these authorities for `https://` control planes, PEM [default: the system's]
    #[arg(long, value_name = "PATH")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Show this certificate to control planes, PEM
    #[arg(long, value_name = "PATH")]
    pub(crate) client_cert_file: Option<PathBuf>,
    /// The key of that certificate, PEM
    #[arg(long, value_name = "PATH")]
    pub(crate) client_key_file: Option<PathBuf>,
}

/// See the gateway work: three small MCP servers, one gateway, a guided walk
///
/// Everything runs in this process, on loopback and in a temporary folder that is removed at the end.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  toolplane demo            walk through discover, schema and execute, then serve until Ctrl-C
  toolplane demo --once     the walk alone")]
pub(crate) struct DemoArgs {
    /// End after the walk
    #[arg(long)]
    pub(crate) once: bool,
    /// Port of the gateway; a free one by default
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub(crate) port: u16,
}

/// Bring a database to the schema of this release
///
/// A control plane does this by itself when it starts; run it beforehand where that account may not change schemas.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  toolplane migrate
  TOOLPLANE_CONTROL_PLANE_DATABASE_URL=postgres://owner@db/toolplane toolplane migrate")]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    pub(crate) data_dir: DataDirArg,
    /// The database: `sqlite:PATH` or `postgres://…` [default: SQLite in the data folder]
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DataDirArg {
    /// Folder of the gateway's data [default: `TOOLPLANE_DATA_DIR`, or toolplane in the user's data folder]
    #[arg(long, value_name = "PATH")]
    pub(crate) data_dir: Option<PathBuf>,
}
