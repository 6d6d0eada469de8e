//! Arguments of the operator's commands.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::limits::LimitFields;
use super::oauth::OAuthFields;
use super::planes::DataDirArg;
use super::tls::TlsFields;
use crate::output::Format;

/// How the control plane is reached. Without any of these: the gateway of the data folder.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    #[command(flatten)]
    pub(crate) data_dir: DataDirArg,
    /// Address of a control plane; may be repeated [default: `TOOLPLANE_CONTROL_PLANE_ADDRESS`]
    #[arg(long = "control-plane", value_name = "ADDRESS")]
    pub(crate) control_planes: Vec<String>,
    /// File with the access token [default: `TOOLPLANE_TOKEN`, `TOOLPLANE_TOKEN_FILE`]
    #[arg(long, value_name = "PATH")]
    pub(crate) token_file: Option<PathBuf>,
}

/// A connection, and how to print what comes back.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ReadConnection {
    /// How to print the answer
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Confirmation {
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

// ---- upstream ----

#[derive(Debug, Subcommand)]
pub(crate) enum UpstreamCommand {
    /// Register an upstream MCP server
    ///
    /// Its tools are listed first; nothing is stored when that fails.
    #[command(after_help = "\
Examples:
  toolplane upstream add crm http://crm:8080/mcp --description 'contacts and deals'
  toolplane upstream add apollo https://mcp.apollo.io/mcp --header-env Authorization=APOLLO_TOKEN
  toolplane upstream add files http://files:8080/mcp --deny '*_delete' --schema-policy pin
  toolplane upstream add wiki https://wiki.internal/mcp --oauth-token-url https://login.internal/token \
    --oauth-client-id gateway --oauth-client-secret-file /run/secrets/wiki --oauth-scope tools.read
  toolplane upstream add hr https://hr.internal/mcp --ca-file ca.pem --client-cert gw.crt --client-key gw.key")]
    Add {
        /// Name under which its tools are found, unique
        domain: String,
        /// Where it speaks MCP over streamable HTTP
        url: String,
        #[command(flatten)]
        fields: UpstreamFields,
        /// Register it even though it does not answer; it is listed at the next refresh
        #[arg(long)]
        allow_unreachable: bool,
        /// Check everything, change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        read: ReadConnection,
    },
    /// Show one upstream
    #[command(after_help = "Example:\n  toolplane upstream get crm --output json")]
    Get {
        domain: String,
        #[command(flatten)]
        read: ReadConnection,
    },
    /// List the upstreams
    #[command(after_help = "Example:\n  toolplane upstream list")]
    List {
        #[command(flatten)]
        read: ReadConnection,
    },
    /// Change an upstream; what is not named stays
    #[command(after_help = "\
Examples:
  toolplane upstream update crm --url http://crm-2:8080/mcp
  toolplane upstream update crm --allow 'crm_read_*' --allow 'crm_search'
  toolplane upstream update crm --header-file Authorization=/run/secrets/crm
  toolplane upstream update crm --timeout 120 --max-concurrency 16
  toolplane upstream update hr --client-cert new.crt --client-key new.key
  toolplane upstream update hr --clear client-cert

Headers change as a whole: name all of them.")]
    Update {
        domain: String,
        /// Where it speaks MCP over streamable HTTP
        #[arg(long)]
        url: Option<String>,
        #[command(flatten)]
        fields: UpstreamFields,
        /// Remove what can be removed: may be repeated
        #[arg(long, value_enum, value_name = "FIELD")]
        clear: Vec<Clearable>,
        /// Change it even though it does not answer
        #[arg(long)]
        allow_unreachable: bool,
        /// Check everything, change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        read: ReadConnection,
    },
    /// Remove an upstream and its tools
    #[command(after_help = "Example:\n  toolplane upstream remove crm --yes")]
    Remove {
        domain: String,
        #[command(flatten)]
        confirmation: Confirmation,
        #[command(flatten)]
        connection: Connection,
    },
    /// Accept what a pinned upstream lists now
    ///
    /// New and changed tools of an upstream with `--schema-policy pin` wait for this. `upstream get` shows the digest of
    /// what is listed, `tool list --refused` what waits; with another digest than that of the listing nothing is accepted.
    #[command(after_help = "\
Examples:
  toolplane upstream get crm
  toolplane upstream accept crm --digest 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    Accept {
        domain: String,
        /// Digest of the listing that was reviewed, in hexadecimal digits
        #[arg(long, value_name = "HEX")]
        digest: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// End the freeze that a rollback put on an upstream, and list its tools again
    #[command(after_help = "Example:\n  toolplane upstream resume crm")]
    Resume {
        domain: String,
        #[command(flatten)]
        read: ReadConnection,
    },
    /// List the tools of upstreams again: of those named, or of all
    #[command(after_help = "Examples:\n  toolplane upstream refresh\n  toolplane upstream refresh crm files")]
    Refresh {
        domains: Vec<String>,
        #[command(flatten)]
        read: ReadConnection,
    },
}

/// What can be said about an upstream besides its name and address. Secrets come from files and variables.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct UpstreamFields {
    /// What it is for, in a sentence that clients see
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// List its tools at another address than they are called at
    #[arg(long, value_name = "URL")]
    pub(crate) discovery_url: Option<String>,
    /// Send a header whose value is in an environment variable; may be repeated
    #[arg(long, value_name = "HEADER=VARIABLE")]
    pub(crate) header_env: Vec<String>,
    /// Send a header whose value is in a file; may be repeated
    #[arg(long, value_name = "HEADER=PATH")]
    pub(crate) header_file: Vec<String>,
    /// Pass only matching headers of the caller on; may be repeated; `none` passes nothing on
    #[arg(long, value_name = "GLOB")]
    pub(crate) forward_header: Vec<String>,
    /// Offer only matching tools; may be repeated
    #[arg(long = "allow", value_name = "GLOB")]
    pub(crate) allowed: Vec<String>,
    /// Never offer matching tools; may be repeated
    #[arg(long = "deny", value_name = "GLOB")]
    pub(crate) denied: Vec<String>,
    /// What a changed tool does: apply, or wait until it is accepted
    #[arg(long, value_enum)]
    pub(crate) schema_policy: Option<SchemaPolicy>,
    /// A session for each call, or one for all calls with the same credentials
    #[arg(long, value_enum)]
    pub(crate) session_mode: Option<SessionMode>,
    #[command(flatten)]
    pub(crate) tls: TlsFields,
    #[command(flatten)]
    pub(crate) oauth: Box<OAuthFields>,
    #[command(flatten)]
    pub(crate) limits: Box<LimitFields>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaPolicy {
    Accept,
    Pin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SessionMode {
    Isolated,
    Shared,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Clearable {
    Description,
    DiscoveryUrl,
    Headers,
    ForwardHeaders,
    Filter,
    Limits,
    Oauth,
    CaFile,
    ClientCert,
}

// ---- policy ----

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Show the access policy
    #[command(after_help = "Example:\n  toolplane policy get --output json > policy.json")]
    Get {
        #[command(flatten)]
        read: ReadConnection,
    },
    /// Set the access policy from a JSON file, or remove it
    ///
    /// The file holds `{"allow": {"domain": ["glob"]}, "deny": {"domain": ["glob"]}}`. A non-empty `allow` closes every
    /// domain that it does not name; `deny` beats `allow`.
    #[command(after_help = "\
Examples:
  toolplane policy set policy.json
  echo '{\"deny\": {\"crm\": [\"*_delete\"]}}' | toolplane policy set - --yes
  toolplane policy set --remove --yes")]
    Set {
        /// The file; `-` reads stdin
        #[arg(required_unless_present = "remove", conflicts_with = "remove")]
        file: Option<PathBuf>,
        /// Remove the explicit policy: the upstreams' own filters decide again
        #[arg(long)]
        remove: bool,
        /// Check everything, change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        confirmation: Confirmation,
        #[command(flatten)]
        connection: Connection,
    },
}

// ---- tool ----

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
    /// MCP endpoint of a node [default: `TOOLPLANE_NODE_URL`, or the gateway of the data folder]
    #[arg(long, value_name = "URL")]
    pub(crate) node: Option<String>,
    /// Send a header whose value is in an environment variable; may be repeated
    #[arg(long, value_name = "HEADER=VARIABLE")]
    pub(crate) header_env: Vec<String>,
    /// Send a header whose value is in a file; may be repeated
    #[arg(long, value_name = "HEADER=PATH")]
    pub(crate) header_file: Vec<String>,
    /// Longest time to wait, in seconds
    #[arg(long, default_value_t = 60)]
    pub(crate) timeout: u64,
    /// How to print the result: its text, or the whole result as JSON
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) data_dir: DataDirArg,
}

// ---- node ----

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// List the nodes and the version that each serves
    #[command(after_help = "Example:\n  toolplane node list")]
    List {
        #[command(flatten)]
        read: ReadConnection,
    },
}

// ---- token ----

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Create an access token and print it, this once
    #[command(after_help = "\
Examples:
  toolplane token create --role node > node.token
  toolplane token create --role node --allow-registration > node.token
  toolplane token create --role registrar --description 'deploy job' --expires-in 30d")]
    Create {
        #[arg(long, value_enum)]
        role: Role,
        /// Who or what it is for
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        description: String,
        /// How long it is good for, for instance `12h` or `30d` [default: for ever]
        #[arg(long, value_name = "TIME")]
        expires_in: Option<String>,
        /// For role node: its REST endpoints may pass registrations on; what a caller may is decided by its own credential
        #[arg(long)]
        allow_registration: bool,
        #[command(flatten)]
        read: ReadConnection,
    },
    /// List the access tokens; never the tokens themselves
    #[command(after_help = "Example:\n  toolplane token list")]
    List {
        #[command(flatten)]
        read: ReadConnection,
    },
    /// Revoke an access token by its id
    #[command(after_help = "Example:\n  toolplane token revoke 01J8ZK --yes")]
    Revoke {
        token_id: String,
        #[command(flatten)]
        confirmation: Confirmation,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Everything
    Admin,
    /// Reads everything, writes upstreams; may register through a node
    Registrar,
    /// Reads everything but tokens
    Viewer,
    /// Follows the registry; passes registrations on where that is allowed; nothing else
    Node,
}
