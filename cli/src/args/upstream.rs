//! Arguments of `toolplane upstream`.

use clap::{Args, Subcommand, ValueEnum};

use super::limits::LimitFields;
use super::oauth::OAuthFields;
use super::operator::{Confirmation, Connection, ReadConnection};
use super::tls::TlsFields;

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
