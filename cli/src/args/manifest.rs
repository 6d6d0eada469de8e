//! Arguments of `apply` and `export`.

use std::path::PathBuf;

use clap::Args;

use super::operator::{Confirmation, Connection};
use super::rollout::Canary;

/// Make the registry what files say: upstreams and access policy
///
/// Shows what would change, asks, changes it, and waits until every connected node serves it. A file with mistakes
/// changes nothing, and neither does a change that the control plane would refuse.
#[derive(Debug, Args)]
#[command(after_help = "\
The form of a file; what is left out gets its default, except headers, tls and the policy, which stay as they are:
  upstreams:
    - domain: crm
      url: http://crm:8080/mcp
      description: contacts and deals
      headers:
        Authorization: {env: CRM_TOKEN}     or {file: PATH}, or {unchanged: true}
      tls:                                  of an https:// address; {}: as the system says
        ca: {file: ca.pem}                  the only authorities to trust
        client_certificate: {file: gw.crt}
        client_key: {file: gw.key}
      allowed_tools: ['crm_*']              by default all
      denied_tools: ['*_delete']
      forward_headers: []                   by default whatever may pass
      schema_policy: pin                    by default accept
      session_mode: shared                  by default isolated
      limits: {timeout: 120}                by default those of the nodes
  policy:                                   null: none
    deny: {crm: ['*_delete']}

Examples:
  toolplane apply -f registry.yaml --dry-run
  toolplane apply -f upstreams.yaml -f policy.yaml --prune --yes
  toolplane apply -f registry.yaml --canary ring=canary
  toolplane export | toolplane apply -f - --dry-run")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct ApplyArgs {
    /// A file, YAML or JSON, of one or more documents; may be repeated; `-` reads stdin
    #[arg(long = "file", short, value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Check everything, show what would change, change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove upstreams that no file lists, unless the environment owns them
    #[arg(long)]
    pub(crate) prune: bool,
    /// Let the changes reach nodes with this label only, until `toolplane rollout promote` or `abort`
    #[arg(long, value_name = "LABEL=VALUE", value_parser = super::rollout::canary)]
    pub(crate) canary: Option<Canary>,
    /// Register upstreams even though they do not answer; they are listed at the next refresh
    #[arg(long)]
    pub(crate) allow_unreachable: bool,
    /// Do not wait until the nodes serve the result
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Longest time to wait for the nodes, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) confirmation: Confirmation,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Write the registry as a file that `apply` reads
///
/// Values of headers and TLS settings are not in it: they are written as `{unchanged: true}`. What the environment owns is left out.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  toolplane export > registry.yaml
  toolplane export -o registry.yaml")]
pub(crate) struct ExportArgs {
    /// Where to write it [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}
