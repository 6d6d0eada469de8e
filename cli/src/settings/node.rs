//! Settings of a data-plane node.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toolplane_data_plane::Address;
use toolplane_data_plane::hooks::Rules;
use toolplane_data_plane::options::{
    Capacity, ErrorResults, Exposure, GuardMode, InstructionsScope, Options, OutputGuard,
};
use toolplane_registry::limits::{self, Limit, Limits};
use toolplane_upstream::connector;
use toolplane_upstream::limits::Settings;

use super::reader::quoted;
use super::{DataDir, Reader, code_mode, control_plane, hooks, tls};
use crate::env::{self, ReadBy, Variable};

const DEFAULT_HOST: &str = "0.0.0.0";
const DEFAULT_PORT: u16 = 8080;

/// Not on the reference page, because no released binary reads it.
const DIRECT_EXPOSURE: Variable = Variable {
    name: "TOOLPLANE_DIRECT_EXPOSURE",
    doc: "Whether upstream tools are listed and can be called by name, as conformance suites do.",
    default: "`false`",
    secret: false,
    reader: ReadBy::Node,
};

/// What flags say about a node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flags<'a> {
    /// `--listen`.
    pub(crate) listen: Option<&'a str>,
    /// `--control-plane`, repeated.
    pub(crate) control_planes: &'a [String],
    /// Certificate files.
    pub(crate) tls: tls::ClientFlags<'a>,
}

/// A node's settings.
#[derive(Debug)]
pub(crate) struct Node {
    /// What the plane is told. Its id is made up later where none is set.
    pub(crate) options: Options,
    /// Whether `options` has an id that somebody chose.
    pub(crate) has_id: bool,
    /// The address to listen on, in numbers or as a name.
    pub(crate) host: String,
    /// The port to listen on.
    pub(crate) port: u16,
    /// File with the token that it shows to the control plane.
    pub(crate) token_file: Option<PathBuf>,
    /// The rules for hooks that are Python modules.
    pub(crate) python_rules: Rules,
}

impl Node {
    /// Reads the settings.
    pub(crate) fn read(reader: &mut Reader<'_>, dir: &DataDir, flags: &Flags<'_>) -> Self {
        let (host, port) = listen(reader, flags.listen);
        let defaults = Options::default();
        let options = Options {
            node_id: reader.text(&env::DATA_PLANE_NODE_ID).unwrap_or(&defaults.node_id).trim().to_owned(),
            labels: labels(reader),
            name: reader.text(&env::GATEWAY_NAME).unwrap_or(&defaults.name).to_owned(),
            instructions: reader.text(&env::GATEWAY_INSTRUCTIONS).map(str::to_owned),
            instructions_scope: instructions_scope(reader),
            control_planes: addresses(reader, flags.control_planes),
            control_plane_tls: tls::client(reader, flags.tls),
            allow_plain_control_plane: reader.flag(&env::CONTROL_PLANE_ALLOW_PLAIN, false),
            data_dir: Some(dir.node()),
            error_results: error_results(reader),
            output_guard: output_guard(reader),
            max_update_bytes: reader
                .integer(&env::MAX_UPDATE_BYTES, (1 << 16, 4 << 30))
                .unwrap_or(defaults.max_update_bytes),
            upstream_limits: upstream_limits(reader),
            capacity: capacity(reader),
            max_body_bytes: reader
                .integer(&env::DATA_PLANE_MAX_BODY_BYTES, (1, 1 << 30))
                .unwrap_or(defaults.max_body_bytes),
            request_state_ttl: reader.seconds(&env::REQUEST_STATE_TTL).unwrap_or(defaults.request_state_ttl),
            drain_grace: reader.seconds_or_zero(&env::DRAIN_GRACE).unwrap_or(defaults.drain_grace),
            max_connection_age: reader
                .seconds_or_zero(&env::MAX_CONNECTION_AGE)
                .unwrap_or(defaults.max_connection_age),
            connection_idle_timeout: reader
                .seconds(&env::CONNECTION_IDLE_TIMEOUT)
                .unwrap_or(defaults.connection_idle_timeout),
            answer_stall_timeout: reader
                .seconds(&env::ANSWER_STALL_TIMEOUT)
                .unwrap_or(defaults.answer_stall_timeout),
            drain_timeout: reader.seconds(&env::DRAIN_TIMEOUT).unwrap_or(defaults.drain_timeout),
            ready_without_tools: reader.flag(&env::READY_WITHOUT_TOOLS, false),
            asks_for_tool_header: reader.flag(&env::TOOL_HEADER, true),
            code_mode: code_mode::read(reader),
            hooks: hooks::services(reader),
            keep_visibility: hooks::keep(reader),
            exposure: exposure(reader),
            connector: way_out(reader),
            ..defaults
        };
        // The routes are the same with and without traces; only the form of the value can be wrong.
        reader.flag(&env::GATEWAY_TRACE_HEALTH_ROUTES, true);
        Self {
            options,
            has_id: reader.text(&env::DATA_PLANE_NODE_ID).is_some(),
            host,
            port,
            token_file: reader.text(&env::DATA_PLANE_TOKEN_FILE).map(PathBuf::from),
            python_rules: hooks::rules(reader),
        }
    }
}

/// Rules and limits of the way to upstreams.
fn way_out(reader: &mut Reader<'_>) -> connector::Options {
    let exchange = connector::Options::default();
    connector::Options {
        guard: control_plane::guard_policy(reader),
        // Every call has a deadline of its own, up to this.
        total_timeout: exchange.total_timeout.max(limits::MAX_TIME),
        max_spare_sessions: reader
            .integer(&env::UPSTREAM_SPARE_SESSIONS, (0, 1 << 16))
            .unwrap_or(exchange.max_spare_sessions),
        spare_session_ttl: reader
            .seconds(&env::UPSTREAM_SPARE_SESSION_TTL)
            .unwrap_or(exchange.spare_session_ttl),
        ..exchange
    }
}

fn exposure(reader: &mut Reader<'_>) -> Exposure {
    let is_direct = cfg!(debug_assertions) && reader.flag(&DIRECT_EXPOSURE, false);
    if is_direct { Exposure::Direct } else { Exposure::MetaTools }
}

/// Limits of upstreams for which none were set.
fn upstream_limits(reader: &mut Reader<'_>) -> Settings {
    let mut set = Limits::default();
    for (limit, variable) in [
        (Limit::Timeout, &env::DATA_PLANE_CALL_TIMEOUT),
        (Limit::ConnectTimeout, &env::UPSTREAM_CONNECT_TIMEOUT),
        (Limit::FirstByteTimeout, &env::UPSTREAM_FIRST_BYTE_TIMEOUT),
        (Limit::IdleTimeout, &env::UPSTREAM_IDLE_TIMEOUT),
        (Limit::MaxConcurrency, &env::UPSTREAM_MAX_CONCURRENCY),
        (Limit::MaxQueue, &env::UPSTREAM_MAX_QUEUE),
        (Limit::MaxRetries, &env::UPSTREAM_MAX_RETRIES),
        (Limit::BreakerFailures, &env::UPSTREAM_BREAKER_FAILURES),
    ] {
        let value = reader.parsed(variable, |text| crate::limits::parse(limit, text));
        set.put(limit, value.flatten());
    }
    Settings::default().with(&set)
}

fn capacity(reader: &mut Reader<'_>) -> Capacity {
    let defaults = Capacity::default();
    let mut number = |variable, most, default| reader.integer(variable, (1, most)).unwrap_or(default);
    Capacity {
        max_connections: number(&env::MAX_CONNECTIONS, 1 << 24, defaults.max_connections),
        max_requests: number(&env::MAX_REQUESTS, 1 << 24, defaults.max_requests),
        max_buffered_bytes: number(&env::MAX_BUFFERED_BYTES, 1 << 40, defaults.max_buffered_bytes),
    }
}

/// Reads an address of a control plane; without a scheme it is plain HTTP.
pub(crate) fn address(text: &str) -> Result<Address, String> {
    let text = text.trim();
    let with_scheme = if text.contains("://") || text.starts_with("unix:") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    Address::parse(&with_scheme).map_err(|rejection| rejection.to_string())
}

/// Addresses of control planes from flags, else from the variable.
pub(crate) fn addresses(reader: &mut Reader<'_>, flags: &[String]) -> Vec<Address> {
    let listed = reader.text(&env::CONTROL_PLANE_ADDRESS).unwrap_or_default().split(',');
    let texts: Vec<&str> =
        if flags.is_empty() { listed.collect() } else { flags.iter().map(String::as_str).collect() };
    let mut addresses = Vec::new();
    for text in texts.into_iter().filter(|text| !text.trim().is_empty()) {
        match address(text) {
            Ok(address) => addresses.push(address),
            Err(reason) => reader.mistake(&env::CONTROL_PLANE_ADDRESS, reason),
        }
    }
    addresses
}

fn listen(reader: &mut Reader<'_>, flag: Option<&str>) -> (String, u16) {
    if let Some(flag) = flag {
        let parsed = flag.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        if let Some((host, port)) = parsed.filter(|(host, _)| !host.is_empty()) {
            return (host.trim_matches(['[', ']']).to_owned(), port);
        }
        reader.mistake(&env::GATEWAY_PORT, format!("{} is not `HOST:PORT`", quoted(flag)));
    }
    let host = reader.text(&env::GATEWAY_HOST).unwrap_or(DEFAULT_HOST).trim().trim_matches(['[', ']']);
    (host.to_owned(), reader.integer(&env::GATEWAY_PORT, (0, u16::MAX)).unwrap_or(DEFAULT_PORT))
}

fn labels(reader: &mut Reader<'_>) -> BTreeMap<String, String> {
    reader
        .parsed(&env::DATA_PLANE_LABELS, |text| {
            let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
            let label = |pair: &str| {
                let (name, value) = pair.split_once('=').filter(|(name, _)| !name.trim().is_empty())?;
                Some((name.trim().to_owned(), value.trim().to_owned()))
            };
            pairs
                .map(|pair| label(pair).ok_or_else(|| format!("{} is not `name=value`", quoted(pair))))
                .collect()
        })
        .unwrap_or_default()
}

fn instructions_scope(reader: &mut Reader<'_>) -> InstructionsScope {
    let words = [("caller", InstructionsScope::Caller), ("all", InstructionsScope::All)];
    reader.word(&env::INSTRUCTIONS_SCOPE, &words, InstructionsScope::default())
}

fn error_results(reader: &mut Reader<'_>) -> ErrorResults {
    let words = [("flagged", ErrorResults::IsError), ("plain", ErrorResults::Plain)];
    reader.word(&env::GATEWAY_ERROR_RESULTS, &words, ErrorResults::default())
}

fn output_guard(reader: &mut Reader<'_>) -> OutputGuard {
    let words = [
        ("strip", GuardMode::Strip),
        ("marker", GuardMode::Marker),
        ("reject", GuardMode::Reject),
        ("off", GuardMode::Off),
    ];
    let defaults = OutputGuard::default();
    OutputGuard {
        mode: reader.word(&env::GATEWAY_OUTPUT_GUARD, &words, defaults.mode),
        max_scan_bytes: reader
            .integer(&env::GATEWAY_OUTPUT_GUARD_MAX_SCAN_BYTES, (1, 1 << 30))
            .unwrap_or(defaults.max_scan_bytes),
        trusted_tools: reader.texts(&env::GATEWAY_TRUSTED_OUTPUT_TOOLS),
    }
}
