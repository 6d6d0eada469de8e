//! What a node can be told: plain data, its defaults and its checks.
//!
//! Never reads the environment or a file; the command line does that and fills these in.

mod address;
mod answers;
mod capacity;
mod guard;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use opentelemetry::metrics::Meter;
use toolplane_registry::policy::Globs;
use toolplane_registry::{Rejection, Rule, Secret};
use toolplane_upstream::{connector, limits};

pub use self::address::Address;
pub(crate) use self::address::is_loopback_host;
pub use self::answers::{ErrorResults, Exposure, InstructionsScope};
pub use self::capacity::Capacity;
pub use self::guard::{GuardMode, OutputGuard};
use crate::code_mode;
use crate::hooks::Configured;
use crate::hooks::chain::Keep;

/// Settings of a node.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Options {
    /// Names the node towards the control plane; unique in the fleet.
    pub node_id: String,
    /// Free labels, shown to operators.
    pub labels: BTreeMap<String, String>,
    /// Version of the node's software.
    pub build: String,
    /// The server name that MCP clients see.
    pub name: String,
    /// Replaces the generated instructions.
    pub instructions: Option<String>,
    /// Whose domains the generated instructions name.
    pub instructions_scope: InstructionsScope,
    /// Where control planes answer; tried in order, each until it fails.
    pub control_planes: Vec<Address>,
    /// Presented to the control plane.
    pub node_token: Option<Secret>,
    /// What `https` control planes are trusted by, and the certificate that is shown to them.
    pub control_plane_tls: toolplane_tls::client::Files,
    /// Allows plain HTTP to a control plane beyond loopback. Credentials of upstreams travel there.
    pub allow_plain_control_plane: bool,
    /// Longest time for one request to the control plane.
    pub control_plane_timeout: Duration,
    /// Largest update that is accepted from the control plane.
    pub max_update_bytes: usize,
    /// Where the last-known-good snapshot is kept; absent keeps none.
    pub data_dir: Option<PathBuf>,
    /// The key that seals it; absent means `node.key` in the data directory.
    pub key_file: Option<PathBuf>,
    /// How coded errors come back.
    pub error_results: ErrorResults,
    /// What happens to hostile tool results.
    pub output_guard: OutputGuard,
    /// Limits of upstreams for which none were set.
    pub upstream_limits: limits::Settings,
    /// How long a caller may take to answer what a tool asks of it.
    pub request_state_ttl: Duration,
    /// Largest request body.
    pub max_body_bytes: usize,
    /// How much the node takes on at once.
    pub capacity: Capacity,
    /// How long a registration waits until this node serves it.
    pub read_your_writes_timeout: Duration,
    /// How long the node serves on, no longer ready, once it is told to stop: time for load balancers to notice.
    pub drain_grace: Duration,
    /// How long requests in flight may take after that.
    pub drain_timeout: Duration,
    /// The age at which connections end, so that new nodes get load; zero lets them be.
    pub max_connection_age: Duration,
    /// How long a connection may ask for nothing. Longer than the idle limit of what is in front of the node, so that
    /// it is not the node that closes a connection about to be used.
    pub connection_idle_timeout: Duration,
    /// How long a caller may take nothing of an answer that is there for it.
    pub answer_stall_timeout: Duration,
    /// Counts the node as ready even where every domain is empty.
    pub ready_without_tools: bool,
    /// Whether callers of the 2026-07-28 revision repeat in a header which tool is to run, for load balancers.
    pub asks_for_tool_header: bool,
    /// Has `rmcp` judge even those calls that it certainly accepts: slower, and otherwise the same.
    pub asks_about_every_call: bool,
    /// Hooks, in the order in which they are asked.
    pub hooks: Vec<Configured>,
    /// How much of what callers may see is kept from one call to the next, where hooks allow it.
    pub keep_visibility: Keep,
    /// Whether and how programs run that call tools.
    pub code_mode: Option<code_mode::Settings>,
    /// What clients can list and call.
    pub exposure: Exposure,
    /// Limits and rules of the way out to upstreams.
    pub connector: connector::Options,
    /// Where measurements go; absent: nothing is measured.
    pub meter: Option<Meter>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            node_id: "node".to_owned(),
            labels: BTreeMap::new(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            name: "toolplane".to_owned(),
            instructions: None,
            instructions_scope: InstructionsScope::default(),
            control_planes: Vec::new(),
            node_token: None,
            control_plane_tls: toolplane_tls::client::Files::default(),
            allow_plain_control_plane: false,
            control_plane_timeout: Duration::from_mins(1),
            max_update_bytes: 256 << 20,
            data_dir: None,
            key_file: None,
            error_results: ErrorResults::default(),
            output_guard: OutputGuard::default(),
            upstream_limits: limits::Settings::default(),
            request_state_ttl: Duration::from_mins(10),
            max_body_bytes: 4 << 20,
            capacity: Capacity::default(),
            read_your_writes_timeout: Duration::from_secs(10),
            drain_grace: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
            max_connection_age: Duration::from_mins(5),
            connection_idle_timeout: Duration::from_secs(75),
            answer_stall_timeout: Duration::from_secs(30),
            ready_without_tools: false,
            asks_for_tool_header: true,
            asks_about_every_call: false,
            hooks: Vec::new(),
            keep_visibility: Keep::default(),
            code_mode: None,
            exposure: Exposure::default(),
            connector: connector::Options::default(),
            meter: None,
        }
    }
}

impl Options {
    /// Checks everything that can be checked before a port is bound; all mistakes are reported together.
    pub fn validate(&self) -> Result<(), Vec<Rejection>> {
        let mut rejections = Vec::new();
        let mut refuse = |subject: &str, reason: &str| {
            rejections.push(Rejection::new(subject, Rule::Setting, reason));
        };
        if self.node_id.trim().is_empty() {
            refuse("node id", "is blank");
        }
        if self.name.trim().is_empty() {
            refuse("server name", "is blank");
        }
        if self.control_planes.is_empty() && self.data_dir.is_none() {
            refuse("control planes", "none is given and there is no data directory to serve from");
        }
        for address in &self.control_planes {
            if !self.allow_plain_control_plane && !address.is_private() {
                refuse(
                    &format!("control plane `{address}`"),
                    "is not reached over https, so tokens and credentials of upstreams could be read on the way; set \
                     TOOLPLANE_CONTROL_PLANE_ALLOW_PLAIN=true to accept that",
                );
            }
        }
        if self.key_file.is_some() && self.data_dir.is_none() {
            refuse("key file", "has no use without a data directory");
        }
        for (name, duration) in [
            ("control plane timeout", self.control_plane_timeout),
            ("read-your-writes timeout", self.read_your_writes_timeout),
            ("request state lifetime", self.request_state_ttl),
            ("idle limit of connections", self.connection_idle_timeout),
            ("stall limit of answers", self.answer_stall_timeout),
        ] {
            if duration.is_zero() {
                refuse(name, "is zero");
            }
        }
        if self.max_body_bytes == 0 {
            refuse("body limit", "is zero");
        }
        for (name, number) in [
            ("connection limit", self.capacity.max_connections),
            ("request limit", self.capacity.max_requests),
        ] {
            if number == 0 {
                refuse(name, "is zero");
            }
        }
        if self.capacity.max_buffered_bytes < self.max_body_bytes {
            refuse("buffer limit", "is less than the largest body");
        }
        rejections.extend(self.code_mode.iter().flat_map(code_mode::Settings::check));
        rejections.extend(self.upstream_limits.check().err().into_iter().flatten());
        if let Err(rejection) = Globs::compile(&self.output_guard.trusted_tools) {
            rejections.push(Rejection { subject: "trusted output tools".to_owned(), ..rejection });
        }
        if rejections.is_empty() { Ok(()) } else { Err(rejections) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_reported_at_once() {
        let options = Options {
            node_id: " ".to_owned(),
            control_planes: vec![Address::parse("http://cp.example:1").unwrap()],
            key_file: Some("/key".into()),
            upstream_limits: limits::Settings { timeout: Duration::ZERO, ..limits::Settings::default() },
            ..Options::default()
        };
        let subjects: Vec<_> = options.validate().unwrap_err().into_iter().map(|r| r.subject).collect();
        assert_eq!(subjects, ["node id", "control plane `http://cp.example:1`", "key file", "call timeout"]);
        let plain =
            options.validate().unwrap_err().into_iter().find(|r| r.subject.starts_with("control plane"));
        assert!(plain.unwrap().reason.contains("TOOLPLANE_CONTROL_PLANE_ALLOW_PLAIN"));
    }

    #[test]
    fn loopback_sockets_and_tls_need_no_permission() {
        for address in
            ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1", "https://cp:1", "unix:/s"]
        {
            let options =
                Options { control_planes: vec![Address::parse(address).unwrap()], ..Options::default() };
            assert!(options.validate().is_ok(), "{address}");
        }
    }
}
