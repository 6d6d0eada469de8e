use std::path::Path;
use std::time::Duration;

use toolplane_control_plane::registration::credential::Verification;
use toolplane_data_plane::options::{ErrorResults, GuardMode};
use toolplane_registry::upstream::{Owner, SchemaPolicy, SessionMode};

use super::control_plane::{Flags as ControlFlags, Listen};
use super::node::Flags as NodeFlags;
use super::*;

const EC_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9\n\
    q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==\n\
    -----END PUBLIC KEY-----\n";

/// Values that do not parse.
const WRONG: &[(&str, &str)] = &[
    ("LOG_LEVEL", "LOUD"),
    ("TOOLPLANE_LOG_FORMAT", "xml"),
    ("TOOLPLANE_LOG_FILTER", "a=b=c"),
    ("TOOLPLANE_METRICS_LISTEN", "localhost:9464"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
    ("GATEWAY_PORT", "http"),
    ("GATEWAY_PORT", "70000"),
    ("GATEWAY_REFRESH_INTERVAL", "soon"),
    ("GATEWAY_REFRESH_INTERVAL", "0"),
    ("GATEWAY_REFRESH_INTERVAL", "-1"),
    ("GATEWAY_REFRESH_INTERVAL", "inf"),
    ("GATEWAY_REFRESH_INTERVAL", "nan"),
    ("GATEWAY_REFRESH_INTERVAL", "1e-30"),
    ("TOOLPLANE_CONTROL_PLANE_HISTORY", "0"),
    ("TOOLPLANE_CONTROL_PLANE_HISTORY", "all"),
    ("TOOLPLANE_CONTROL_PLANE_AUDIT_DAYS", "-1"),
    ("TOOLPLANE_CONTROL_PLANE_NODE_DAYS", "a week"),
    ("GATEWAY_UPSTREAMS", "{"),
    ("GATEWAY_UPSTREAMS", "[]"),
    ("GATEWAY_UPSTREAMS", r#"{"a": null}"#),
    ("GATEWAY_UPSTREAMS", r#"{"a": 5}"#),
    ("GATEWAY_UPSTREAMS", r#"{"a": "not a url"}"#),
    ("GATEWAY_UPSTREAMS", r#"{"": "http://a/mcp"}"#),
    ("GATEWAY_UPSTREAMS", r#"{"a": {"allowed_tools": ["x"]}}"#),
    ("GATEWAY_UPSTREAMS", r#"{"a": {"url": "http://a/mcp", "allowed_tools": "x"}}"#),
    ("GATEWAY_UPSTREAMS", r#"{"a": {"url": "http://a/mcp", "allow": ["x"]}}"#),
    ("GATEWAY_UPSTREAMS", r#"{"a": {"url": "http://a/mcp", "schema_policy": "pinned"}}"#),
    ("GATEWAY_UPSTREAMS", r#"{"a": "http://169.254.169.254/mcp"}"#),
    ("GATEWAY_UPSTREAMS", r#"{"a": "http://a/mcp", " a": "http://b/mcp"}"#),
    ("GATEWAY_DOMAIN_DESCRIPTIONS", r#"{"a": 1}"#),
    ("GATEWAY_UPSTREAM_HEADERS", "[]"),
    ("GATEWAY_UPSTREAM_HEADERS", r#"{"a": {"X-A": 1}}"#),
    ("GATEWAY_UPSTREAM_HEADERS", r#"{"a": {"X A": "1"}}"#),
    ("GATEWAY_ACCESS_POLICY", r#"{"allowed": {}}"#),
    ("GATEWAY_REGISTRY_AUTH_TOKEN", "two\nlines"),
    ("GATEWAY_URL_GUARD_ALLOW_PRIVATE_RANGES", "maybe"),
    ("GATEWAY_ERROR_RESULTS", "loud"),
    ("GATEWAY_OUTPUT_GUARD", "on"),
    ("GATEWAY_OUTPUT_GUARD_MAX_SCAN_BYTES", "0"),
    ("GATEWAY_TRUSTED_OUTPUT_TOOLS", "inj*"),
    ("GATEWAY_SANITIZER_TRUSTED_DOMAINS", "{}"),
    ("GATEWAY_MAX_SCHEMA_DEPTH", "51"),
    ("GATEWAY_MAX_SCHEMA_DEPTH", "0"),
    ("GATEWAY_SCHEMA_POLICY", "refuse"),
    ("GATEWAY_TRACE_HEALTH_ROUTES", "perhaps"),
    ("GATEWAY_REGISTRATION_ALGORITHMS", "ES256,none"),
    ("TOOLPLANE_HOOKS", "ftp://x"),
    ("TOOLPLANE_HOOKS_DEADLINE", "0"),
    ("TOOLPLANE_HOOKS_ON_FAILURE", "maybe"),
    ("TOOLPLANE_HOOKS_MAX_IN_FLIGHT", "0"),
    ("TOOLPLANE_HOOKS_KEEP_VISIBILITY", "-1"),
    ("TOOLPLANE_HOOKS_KEEP_TOOLS", "many"),
    ("GATEWAY_CODE_MODE", "perhaps"),
    ("TOOLPLANE_CONTROL_PLANE_DATABASE_URL", "mysql://x"),
    ("TOOLPLANE_CONTROL_PLANE_LISTEN", "localhost"),
    ("TOOLPLANE_CONTROL_PLANE_ADDRESS", "ftp://x"),
    ("TOOLPLANE_DATA_PLANE_LABELS", "zone"),
    ("TOOLPLANE_DRAIN_TIMEOUT", "long"),
    ("TOOLPLANE_DRAIN_GRACE", "-1"),
    ("TOOLPLANE_MAX_CONNECTION_AGE", "old"),
    ("TOOLPLANE_READY_WITHOUT_TOOLS", "2"),
    ("TOOLPLANE_DATA_PLANE_MAX_BODY_BYTES", "0"),
    ("TOOLPLANE_DATA_PLANE_MAX_BODY_BYTES", "4MiB"),
    ("TOOLPLANE_DATA_PLANE_CALL_TIMEOUT", "0"),
    ("TOOLPLANE_CONTROL_PLANE_REFRESH_TIMEOUT", "a while"),
    ("TOOLPLANE_CONTROL_PLANE_REFRESH_TIMEOUT", "3600"),
    ("TOOLPLANE_CONTROL_PLANE_REFRESH_CONCURRENCY", "0"),
];

/// Reads everything that `standalone` reads.
fn standalone(variables: &Variables) -> Result<(Logging, ControlPlane, Node), Failure> {
    read(variables, |reader| {
        let logging = Logging::read(reader);
        Telemetry::read(reader);
        refuse_unsupported(reader);
        let dir = DataDir::read(reader, Some(Path::new("/data")));
        let control = ControlPlane::read(reader, &dir, &ControlFlags::default());
        (logging, control, Node::read(reader, &dir, &NodeFlags::default()))
    })
}

fn accepted<const N: usize>(variables: [(&str, &str); N]) -> (Logging, ControlPlane, Node) {
    standalone(&Variables::from(variables)).unwrap()
}

fn mistakes<const N: usize>(variables: [(&str, &str); N]) -> Vec<String> {
    let failure = standalone(&Variables::from(variables)).unwrap_err();
    assert_eq!(failure.kind, Kind::Usage);
    failure.messages
}

#[test]
fn every_value_that_does_not_parse_is_one_line_that_names_its_variable() {
    for &(variable, value) in WRONG {
        let messages = mistakes([(variable, value)]);
        let ours: Vec<_> =
            messages.iter().filter(|line| line.starts_with(&format!("{variable}: "))).collect();
        assert_eq!(ours.len(), 1, "{variable}={value}: {messages:?}");
        assert!(!messages.iter().any(|line| line.contains('\n')), "{messages:?}");
    }
}

#[test]
fn all_mistakes_come_at_once() {
    let messages = mistakes([
        ("LOG_LEVEL", "LOUD"),
        ("GATEWAY_PORT", "x"),
        ("GATEWAY_UPSTREAMS", r#"{"a": 5, "b": {"url": "http://b/mcp", "x": 1, "y": 2}}"#),
        ("GATEWAY_URL_GUARD_ALLOW_PRIVATE_RANGES", "maybe"),
    ]);
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn secrets_never_show_in_a_message() {
    for variables in [
        [("GATEWAY_UPSTREAM_HEADERS", r#"{"a": {"X-A": "s3cr3t"#), ("GATEWAY_NAME", "n")],
        [("GATEWAY_UPSTREAM_HEADERS", r#"{"a": {"X-A": "s3cr3t\n"}}"#), ("GATEWAY_NAME", "n")],
        [("GATEWAY_REGISTRY_AUTH_TOKEN", "s3cr3t\u{7}"), ("GATEWAY_NAME", "n")],
        [("GATEWAY_UPSTREAMS", r#"{"a": "ftp://u:s3cr3t@h/?k=s3cr3t"}"#), ("GATEWAY_NAME", "n")],
        [("TOOLPLANE_CONTROL_PLANE_DATABASE_URL", "mysql://u:s3cr3t@h/db"), ("GATEWAY_NAME", "n")],
        [("GATEWAY_REGISTRATION_TOKEN", "s3cr3t"), ("GATEWAY_REGISTRATION_ISSUER", "x")],
    ] {
        let messages = mistakes(variables);
        assert!(!messages.concat().contains("s3cr3t"), "{messages:?}");
    }
}

#[test]
fn limits_can_be_set() {
    let (_, control, node) = accepted([
        ("TOOLPLANE_DATA_PLANE_MAX_BODY_BYTES", "1000"),
        ("TOOLPLANE_DATA_PLANE_CALL_TIMEOUT", "600"),
        ("TOOLPLANE_CONTROL_PLANE_REFRESH_TIMEOUT", "2.5"),
        ("TOOLPLANE_CONTROL_PLANE_REFRESH_CONCURRENCY", "3"),
    ]);
    assert_eq!(
        (node.options.max_body_bytes, node.options.upstream_limits.timeout),
        (1000, Duration::from_mins(10))
    );
    assert!(
        node.options.connector.total_timeout >= node.options.upstream_limits.timeout,
        "nothing below cuts it short"
    );
    let refresh = control.options.refresh;
    assert_eq!((refresh.deadline, refresh.concurrency), (Duration::from_millis(2500), 3));
}

#[test]
fn variables_without_effect_are_named_and_others_are_not() {
    let idle = without_effect(&Variables::from([
        ("GATEWAY_TRACE_HEALTH_ROUTES", "false"),
        ("GATEWAY_CODE_MODE", "false"),
        ("GATEWAY_CODE_MODE_MAX_MEMORY", "1"),
        ("GATEWAY_AUTH_MODULE", "my.auth:create"),
        ("GATEWAY_ALLOWED_AUTH_PREFIXES", " "),
        ("GATEWAY_PORT", "1"),
    ]));
    let names: Vec<_> = idle.iter().map(|variable| variable.name).collect();
    assert_eq!(names, ["GATEWAY_TRACE_HEALTH_ROUTES", "GATEWAY_CODE_MODE_MAX_MEMORY", "GATEWAY_AUTH_MODULE"]);
    assert!(
        without_effect(&Variables::from([("GATEWAY_CODE_MODE", "off")])).is_empty(),
        "that is what it is"
    );
}

#[test]
fn modules_that_are_not_carried_over_are_refused_where_they_would_have_been_loaded() {
    for (module, prefixes) in [
        ("GATEWAY_AUTH_MODULE", "GATEWAY_ALLOWED_AUTH_PREFIXES"),
        ("GATEWAY_MIDDLEWARE_MODULE", "GATEWAY_ALLOWED_MIDDLEWARE_PREFIXES"),
    ] {
        let with = Variables::from([(module, "my.module:create"), (prefixes, "my")]);
        assert!(read(&with, refuse_unsupported).is_err(), "{module}");
        let without = Variables::from([(module, "my.module:create")]);
        assert!(read(&without, refuse_unsupported).is_ok(), "{module}");
    }
}

#[test]
fn nothing_set_means_defaults() {
    let (logging, control, node) = accepted([]);
    assert_eq!((logging.level, logging.format), ("info", LogFormat::Text));
    assert_eq!((node.host.as_str(), node.port), ("0.0.0.0", 8080));
    assert_eq!(node.options.name, "toolplane");
    assert_eq!(control.options.database_url.expose(), "sqlite:/data/toolplane.db");
    assert!(control.options.create_secret_key && control.options.guard.allow_private);
    assert!(control.options.refresh.interval.is_none() && control.listen.is_none());
    assert!(matches!(control.options.registration, Verification::Disabled));
}

#[test]
fn blank_values_mean_unset() {
    let (_, control, node) = accepted([
        ("GATEWAY_NAME", ""),
        ("GATEWAY_INSTRUCTIONS", ""),
        ("GATEWAY_REGISTRATION_TOKEN", ""),
        ("GATEWAY_UPSTREAM_HEADERS", ""),
        ("GATEWAY_REFRESH_INTERVAL", ""),
        ("GATEWAY_HOOK_MODULE", ""),
        ("GATEWAY_CODE_MODE", " "),
    ]);
    assert_eq!((node.options.name.as_str(), node.options.instructions), ("toolplane", None));
    assert!(matches!(control.options.registration, Verification::Disabled));
}

#[test]
fn upstreams_are_urls_or_objects() {
    let (_, control, _) = accepted([(
        "GATEWAY_UPSTREAMS",
        r#"{"plain": "http://a:8080/mcp", "full": {"url": "https://b/mcp", "allowed_tools": ["x_*"],
            "denied_tools": ["*_delete"], "discovery_url": "https://b/list", "description": "all of it",
            "headers": {"Authorization": "Bearer t"}, "forward_headers": [], "schema_policy": "pin",
            "session_mode": "shared", "limits": {"timeout": 2.5, "max_queue": 0}}}"#,
    )]);
    let upstreams = &control.options.environment.upstreams;
    let [full, plain] = upstreams.as_slice() else { panic!("{upstreams:?}") };
    assert_eq!((plain.domain.as_str(), plain.url.as_str()), ("plain", "http://a:8080/mcp"));
    assert_eq!((plain.owner, plain.schema_policy), (Owner::Environment, SchemaPolicy::Accept));
    assert_eq!(full.filter.allowed.as_deref(), Some(["x_*".to_owned()].as_slice()));
    assert_eq!(full.filter.denied, ["*_delete"]);
    assert_eq!((full.listing_url(), full.description.as_str()), ("https://b/list", "all of it"));
    assert_eq!(full.headers[0].name, "authorization");
    assert_eq!(full.forward_headers.as_deref(), Some([].as_slice()));
    assert_eq!((full.schema_policy, full.session_mode), (SchemaPolicy::Pin, SessionMode::Shared));
    let limits = (full.limits.timeout, full.limits.max_queue, full.limits.max_retries);
    assert_eq!(limits, (Some(Duration::from_millis(2500)), Some(0), None));
}

#[test]
fn the_other_settings_reach_the_planes() {
    let (logging, control, node) = accepted([
        ("LOG_LEVEL", "warning"),
        ("GATEWAY_UPSTREAMS", r#"{"a": "http://a/mcp"}"#),
        ("GATEWAY_SCHEMA_POLICY", "pin"),
        ("GATEWAY_DOMAIN_DESCRIPTIONS", r#"{"a": "the a", "later": "not there yet"}"#),
        ("GATEWAY_UPSTREAM_HEADERS", r#"{"a": {"X-Key": "k"}}"#),
        ("GATEWAY_ACCESS_POLICY", r#"{"allow": {"a": ["*"]}, "deny": {}}"#),
        ("GATEWAY_REFRESH_INTERVAL", "0.5"),
        ("GATEWAY_MAX_SCHEMA_DEPTH", "2"),
        ("GATEWAY_REGISTRATION_TOKEN", "short"),
        ("GATEWAY_HOST", "[::1]"),
        ("GATEWAY_PORT", "0"),
        ("GATEWAY_ERROR_RESULTS", "plain"),
        ("GATEWAY_OUTPUT_GUARD", "Strip"),
        ("GATEWAY_CODE_MODE", "off"),
        ("GATEWAY_CODE_MODE_MAX_DURATION_SECS", "junk"),
        ("GATEWAY_ALLOWED_HOOK_PREFIXES", "my"),
        ("TOOLPLANE_DATA_PLANE_LABELS", "zone=a, rack=7"),
        ("TOOLPLANE_CONTROL_PLANE_LISTEN", "unix:/run/admin.sock"),
        ("TOOLPLANE_DRAIN_GRACE", "2.5"),
        ("TOOLPLANE_MAX_CONNECTION_AGE", "0"),
    ]);
    let environment = &control.options.environment;
    assert_eq!(logging.level, "warn");
    assert_eq!(environment.upstreams[0].schema_policy, SchemaPolicy::Pin);
    assert_eq!(control.options.ingest.default_schema_policy, SchemaPolicy::Pin);
    assert_eq!(environment.descriptions.len(), 2);
    assert_eq!(environment.headers["a"][0].name, "x-key");
    assert!(environment.policy.is_some());
    assert_eq!(control.options.refresh.interval, Some(Duration::from_millis(500)));
    assert_eq!(control.options.ingest.schema.max_depth, 2);
    assert!(matches!(control.options.registration, Verification::Token(_)));
    assert_eq!(control.listen, Some(Listen::Unix("/run/admin.sock".into())));
    assert_eq!((node.host.as_str(), node.port), ("::1", 0));
    assert_eq!(node.options.error_results, ErrorResults::Plain);
    assert_eq!(node.options.output_guard.mode, GuardMode::Strip);
    assert_eq!(node.options.labels["rack"], "7");
    assert_eq!(node.options.drain_grace, Duration::from_millis(2_500));
    assert_eq!(node.options.max_connection_age, Duration::ZERO);
}

#[test]
fn code_mode_limits_are_looked_at_once_it_is_on() {
    for (variable, value) in [
        ("GATEWAY_CODE_MODE_MAX_DURATION_SECS", "nan"),
        ("GATEWAY_CODE_MODE_MAX_DURATION_SECS", "inf"),
        ("GATEWAY_CODE_MODE_MAX_DURATION_SECS", "0"),
        ("GATEWAY_CODE_MODE_MAX_MEMORY", "0"),
        ("GATEWAY_CODE_MODE_MAX_ALLOCATIONS", "-1"),
        ("GATEWAY_CODE_MODE_MAX_RECURSION_DEPTH", "1.5"),
        ("GATEWAY_CODE_MODE_MAX_NESTED_CALLS", "many"),
        ("TOOLPLANE_CODE_MODE_MAX_SOURCE_BYTES", "1000000"),
        ("TOOLPLANE_CODE_MODE_RUNS_PER_WORKER", "0"),
    ] {
        assert_eq!(mistakes([("GATEWAY_CODE_MODE", "1"), (variable, value)]).len(), 1, "{variable}={value}");
        accepted([("GATEWAY_CODE_MODE", "off"), (variable, value)]);
    }
    let (_, _, node) = accepted([
        ("GATEWAY_CODE_MODE", "true"),
        ("GATEWAY_CODE_MODE_MAX_DURATION_SECS", "1.5"),
        ("TOOLPLANE_CODE_MODE_CORES", "1"),
    ]);
    let settings = node.options.code_mode.unwrap();
    assert_eq!((settings.limits.duration, settings.cores), (Duration::from_millis(1500), 1));
    assert!(accepted([]).2.options.code_mode.is_none());
}

#[test]
fn signed_registration_needs_all_of_its_parts_and_no_shared_token() {
    let all = [
        ("GATEWAY_REGISTRATION_ISSUER", "https://issuer.example"),
        ("GATEWAY_REGISTRATION_AUDIENCE", "https://gateway.example"),
        ("GATEWAY_REGISTRATION_VERIFY_KEY", EC_KEY),
    ];
    let (_, control, _) = accepted(all);
    let Verification::Jwt(jwt) = control.options.registration else { panic!() };
    assert_eq!(jwt.algorithms, ["ES256"], "the one of the key's curve");

    let [issuer, audience, key] = all;
    assert_eq!(mistakes([issuer]).len(), 2);
    assert_eq!(mistakes([issuer, audience, key, ("GATEWAY_REGISTRATION_TOKEN", "t")]).len(), 1);
    assert_eq!(mistakes([("GATEWAY_REGISTRATION_ALGORITHMS", "ES256")]).len(), 3);
    assert_eq!(mistakes([issuer, audience, key, ("GATEWAY_REGISTRATION_ALGORITHMS", "HS256")]).len(), 1);
    assert_eq!(mistakes([issuer, audience, key, ("GATEWAY_REGISTRATION_ALGORITHMS", "RS256")]).len(), 1);
    assert_eq!(mistakes([issuer, audience, ("GATEWAY_REGISTRATION_VERIFY_KEY", "z")]).len(), 1);
    let one_line = EC_KEY.replace('\n', "\\n");
    accepted([issuer, audience, ("GATEWAY_REGISTRATION_VERIFY_KEY", &one_line)]);
}

#[test]
fn postgres_needs_a_shared_key_and_flags_win() {
    let read_with = |variables: &Variables, flags: &ControlFlags<'_>| {
        read(variables, |reader| {
            let dir = DataDir::read(reader, Some(Path::new("/data")));
            ControlPlane::read(reader, &dir, flags)
        })
    };
    let postgres = Variables::from([("TOOLPLANE_CONTROL_PLANE_DATABASE_URL", "postgres://db/x")]);
    let failure = read_with(&postgres, &ControlFlags::default()).unwrap_err();
    assert!(failure.messages[0].starts_with("TOOLPLANE_SECRET_KEY_FILE"), "{failure:?}");

    let flags = ControlFlags {
        database_url: Some("sqlite:/elsewhere.db"),
        listen: Some("127.0.0.1:1"),
        ..ControlFlags::default()
    };
    let control = read_with(&postgres, &flags).unwrap();
    assert_eq!(control.options.database_url.expose(), "sqlite:/elsewhere.db");
    assert_eq!(control.listen, Some(Listen::Tcp("127.0.0.1:1".parse().unwrap())));
}

#[test]
fn the_data_folder_is_found() {
    let dir = |variables: Variables, flag: Option<&str>| {
        read(&variables, |reader| DataDir::read(reader, flag.map(Path::new))).map(|dir| dir.path().to_owned())
    };
    let home = ("HOME", "/home/u");
    assert_eq!(dir(Variables::from([home]), None).unwrap(), Path::new("/home/u/.local/share/toolplane"));
    let xdg = Variables::from([home, ("XDG_DATA_HOME", "/xdg")]);
    assert_eq!(dir(xdg, None).unwrap(), Path::new("/xdg/toolplane"));
    let relative = Variables::from([home, ("XDG_DATA_HOME", "xdg")]);
    assert_eq!(dir(relative, None).unwrap(), Path::new("/home/u/.local/share/toolplane"));
    let named = Variables::from([home, ("TOOLPLANE_DATA_DIR", "/data")]);
    assert_eq!(dir(named.clone(), None).unwrap(), Path::new("/data"));
    assert_eq!(dir(named, Some("/flag")).unwrap(), Path::new("/flag"));
    assert!(dir(Variables::default(), None).is_err());
    assert!(dir(Variables::default(), Some("relative")).unwrap().is_absolute());
}

#[test]
fn control_planes_are_listed_with_or_without_a_scheme() {
    let variables =
        Variables::from([("TOOLPLANE_CONTROL_PLANE_ADDRESS", "10.0.0.1:7400, https://cp:7400,unix:/s")]);
    let addresses = read(&variables, |reader| node::addresses(reader, &[])).unwrap();
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["http://10.0.0.1:7400", "https://cp:7400", "unix:/s"]);
    let flags = ["cp:1".to_owned()];
    let addresses = read(&variables, |reader| node::addresses(reader, &flags)).unwrap();
    assert_eq!(addresses.len(), 1);
}
