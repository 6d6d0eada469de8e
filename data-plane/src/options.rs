//! What a node can be told: plain data, its defaults and its checks.
//!
//! Never reads the environment or a file; the command line does that and fills these in.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use opentelemetry::metrics::Meter;
use tonic::transport::Uri;
use toolplane_registry::policy::Globs;
use toolplane_registry::{Rejection, Rule, Secret};
use toolplane_upstream::{connector, limits};

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

/// How much a node takes on at once. What is beyond is refused at once, before it costs memory; probes never are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Connections. Those beyond are told so and closed.
    pub max_connections: usize,
    /// Requests in flight.
    pub max_requests: usize,
    /// Bytes of bodies that are held for requests in flight.
    pub max_buffered_bytes: usize,
}

/// Where a control plane answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `http://host:port` or `https://host:port`.
    Tcp(Uri),
    /// `unix:/path/to/socket`.
    Unix(PathBuf),
}

/// Whose domains the generated instructions name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InstructionsScope {
    /// Those that the caller sees.
    #[default]
    Caller,
    /// All of them, also where hooks hide some: the same text for everybody, for which no hook is asked.
    All,
}

/// What clients can list and call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Exposure {
    /// The meta-tools.
    #[default]
    MetaTools,
    /// Beside them the tools of upstreams, by name, for conformance suites. Without debug assertions it has no effect.
    Direct,
}

/// How coded errors come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorResults {
    /// As results that say so: MCP hosts act on `isError`.
    #[default]
    IsError,
    /// As ordinary results whose text is the error.
    Plain,
}

/// What the output guard does with a result that holds injection patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GuardMode {
    /// Nothing; results pass unread.
    #[default]
    Off,
    /// Blanks the patterns.
    Strip,
    /// Puts a visible mark in their place.
    Marker,
    /// Refuses the result.
    Reject,
}

/// Settings of the output guard.
#[derive(Debug, Clone)]
pub struct OutputGuard {
    /// What to do.
    pub mode: GuardMode,
    /// How much of a text is read; the rest passes.
    pub max_scan_bytes: usize,
    /// Globs over tool names whose results pass unread.
    pub trusted_tools: Vec<String>,
}

// ---- Options ----

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

// ---- Address ----

impl Address {
    /// Reads `http://…`, `https://…` or `unix:/path`.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let refuse = |reason: &str| Rejection::new(format!("control plane `{text}`"), Rule::Url, reason);
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
            return if path.is_absolute() {
                Ok(Self::Unix(path))
            } else {
                Err(refuse("names no absolute path"))
            };
        }
        let uri: Uri = text.parse().map_err(|_| refuse("is no URL"))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http" | "https"), Some(_)) => Ok(Self::Tcp(uri)),
            _ => Err(refuse("must begin with http://, https:// or unix:/")),
        }
    }

    /// Whether it is reached over TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tcp(uri) if uri.scheme_str() == Some("https"))
    }

    /// Whether nobody on the way can read along.
    pub fn is_private(&self) -> bool {
        self.is_tls()
            || match self {
                Self::Unix(_) => true,
                Self::Tcp(uri) => uri.host().is_some_and(is_loopback_host),
            }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // An authority may hold a password; host and port say enough.
            Self::Tcp(uri) => {
                write!(f, "{}://{}", uri.scheme_str().unwrap_or("http"), uri.host().unwrap_or_default())?;
                uri.port_u16().map_or(Ok(()), |port| write!(f, ":{port}"))
            }
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Whether a host, with or without the brackets of an IPv6 literal, is this machine.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

// ---- Capacity and OutputGuard ----

impl Capacity {
    /// How many of the bytes the requests of one connection may hold together, where there are several.
    pub(crate) fn connection_share(&self) -> usize {
        self.max_buffered_bytes / 4
    }
}

impl Default for Capacity {
    fn default() -> Self {
        Self { max_connections: 8192, max_requests: 4096, max_buffered_bytes: 128 << 20 }
    }
}

impl Default for OutputGuard {
    fn default() -> Self {
        Self { mode: GuardMode::default(), max_scan_bytes: 1 << 20, trusted_tools: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_without_credentials() {
        let unix = Address::parse("unix:/run/toolplane.sock").unwrap();
        assert_eq!(unix, Address::Unix("/run/toolplane.sock".into()));
        let tcp = Address::parse("https://user:pw@cp.example:7400/x").unwrap();
        assert_eq!(tcp.to_string(), "https://cp.example:7400");
        for bad in ["cp:7400", "ftp://x", "unix:relative", "", "http://"] {
            assert_eq!(Address::parse(bad).unwrap_err().rule, Rule::Url, "{bad}");
        }
    }

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
