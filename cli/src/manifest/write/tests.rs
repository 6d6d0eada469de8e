use toolplane_proto::sync;

use super::super::{diff, read};
use super::*;

fn globs(globs: &[&str]) -> Vec<String> {
    globs.iter().map(|&glob| glob.to_owned()).collect()
}

fn upstream(domain: &str) -> wire::Upstream {
    wire::Upstream {
        domain: domain.into(),
        url: format!("http://{domain}:8080/mcp"),
        owner: wire::Owner::Api.into(),
        filter: Some(wire::ToolFilter::default()),
        etag: "e".into(),
        ..wire::Upstream::default()
    }
}

fn held() -> Held {
    let full = wire::Upstream {
        discovery_url: "http://crm:8081/mcp".into(),
        description: "contacts: \"deals\"\nand \\ more\t#\u{85}\u{1b}".into(),
        header_names: globs(&["authorization", "x-key"]),
        tls: Some(wire::UpstreamTls {
            authorities: vec![wire::Certificate::default()],
            client: Some(wire::Certificate::default()),
            ..wire::UpstreamTls::default()
        }),
        oauth: Some(wire::ClientCredentials {
            token_url: "https://login/token".into(),
            client_id: "gateway".into(),
            scope: "tools.read tools.list".into(),
            auth_method: wire::ClientAuthentication::SecretPost.into(),
            ..wire::ClientCredentials::default()
        }),
        forward_headers: Some(wire::HeaderGlobs::default()),
        filter: Some(wire::ToolFilter {
            allowed: Some(wire::Globs { globs: globs(&["crm_*", "[!a]?", "null", "5"]) }),
            denied: globs(&["*_delete", "- x", "a: b", ""]),
        }),
        schema_policy: wire::SchemaPolicy::Pin.into(),
        session_mode: sync::SessionMode::Shared.into(),
        limits: Some(sync::Limits {
            timeout: Some(prost_types::Duration { seconds: 2, nanos: 500_000_000 }),
            breaker_failures: Some(0),
            ..sync::Limits::default()
        }),
        ..upstream("crm")
    };
    let environment = wire::Upstream { owner: wire::Owner::Environment.into(), ..upstream("fixed") };
    let rules = |domain: &str, list: &[&str]| {
        [(domain.to_owned(), wire::GlobList { globs: globs(list) })].into_iter().collect::<BTreeMap<_, _>>()
    };
    let policy = wire::Policy {
        allow: rules("crm", &["*"]),
        deny: rules("true", &[]),
        etag: "p".into(),
        explicit: true,
        ..wire::Policy::default()
    };
    Held { upstreams: vec![full, environment, upstream("no")], policy }
}

#[test]
fn an_export_reads_well() {
    insta::assert_snapshot!(manifest(&held()));
}

#[test]
fn applying_an_export_changes_nothing() {
    let empty_policy = wire::Policy { etag: "p".into(), explicit: true, ..wire::Policy::default() };
    for held in [held(), Held::default(), Held { upstreams: Vec::new(), policy: empty_policy }] {
        let (read, mistakes) = read::manifest(&[("f".to_owned(), manifest(&held))]);
        assert_eq!(mistakes, [], "{}", manifest(&held));
        let plan = diff::diff(&read, &held, true).unwrap();
        assert!(plan.is_empty(), "{plan:?}");
    }
}

#[test]
fn what_the_environment_owns_is_named_but_not_written() {
    let policy = wire::Policy { etag: String::new(), ..held().policy };
    let text = manifest(&Held { policy, ..held() });
    assert!(text.contains("# fixed belongs to the environment"), "{text}");
    assert!(text.contains("# The access policy belongs to the environment"), "{text}");
    assert!(!text.contains("\npolicy:"), "{text}");
}
