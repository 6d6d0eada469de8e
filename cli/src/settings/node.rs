//! Settings of a data-plane node.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toolplane_data_plane::Address;
use toolplane_data_plane::options::{ErrorResults, GuardMode, Options, OutputGuard};
use toolplane_upstream::connector;

use super::reader::quoted;
use super::{DataDir, Reader, control_plane, tls};
use crate::env;

const DEFAULT_HOST: &str = "0.0.0.0";
const DEFAULT_PORT: u16 = 8080;

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
}

impl Node {
    /// Reads the settings.
    pub(crate) fn read(reader: &mut Reader<'_>, dir: &DataDir, flags: &Flags<'_>) -> Self {
        let (host, port) = listen(reader, flags.listen);
        let (defaults, exchange) = (Options::default(), connector::Options::default());
        let call_deadline = reader.seconds(&env::DATA_PLANE_CALL_TIMEOUT).unwrap_or(defaults.call_deadline);
        let options = Options {
            node_id: reader.text(&env::DATA_PLANE_NODE_ID).unwrap_or(&defaults.node_id).trim().to_owned(),
            labels: labels(reader),
            name: reader.text(&env::GATEWAY_NAME).unwrap_or(&defaults.name).to_owned(),
            instructions: reader.text(&env::GATEWAY_INSTRUCTIONS).map(str::to_owned),
            control_planes: addresses(reader, flags.control_planes),
            control_plane_tls: tls::client(reader, flags.tls),
            allow_plain_control_plane: reader.flag(&env::CONTROL_PLANE_ALLOW_PLAIN, false),
            data_dir: Some(dir.node()),
            error_results: error_results(reader),
            output_guard: output_guard(reader),
            call_deadline,
            max_body_bytes: reader
                .integer(&env::DATA_PLANE_MAX_BODY_BYTES, (1, 1 << 30))
                .unwrap_or(defaults.max_body_bytes),
            drain_grace: reader.seconds_or_zero(&env::DRAIN_GRACE).unwrap_or(defaults.drain_grace),
            max_connection_age: reader
                .seconds_or_zero(&env::MAX_CONNECTION_AGE)
                .unwrap_or(defaults.max_connection_age),
            drain_timeout: reader.seconds(&env::DRAIN_TIMEOUT).unwrap_or(defaults.drain_timeout),
            ready_without_tools: reader.flag(&env::READY_WITHOUT_TOOLS, false),
            connector: connector::Options {
                guard: control_plane::guard_policy(reader),
                total_timeout: exchange.total_timeout.max(call_deadline),
                ..exchange
            },
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
        }
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
