//! A node and upstreams that take TLS settings of their own.

use toolplane_data_plane::Options;
use toolplane_registry::snapshot::Endpoint;
use toolplane_registry::{Protocol, Secret, Tls as Settings};
use toolplane_testkit::authority::Pair;
use toolplane_testkit::fake_upstream::{Era, FakeUpstream, Tls};
use toolplane_testkit::{Authority, FakeControlPlane};

use crate::harness::{Node, domain_at, snapshot};

const CALL: &str = r#"{"tool_name":"x"}"#;

fn settings(authority: &Authority, pair: &Pair) -> Settings {
    let secret = |text: &str| Some(Secret::new(text.to_owned()));
    Settings {
        ca: secret(authority.pem()),
        client_certificate: secret(&pair.certificate),
        client_key: secret(&pair.key),
    }
}

async fn upstream(tls: Tls) -> FakeUpstream {
    FakeUpstream::builder().tool("x").era(Era::Stateless).tls(tls).start().await
}

fn endpoint(upstream: &FakeUpstream, tls: &Settings, config_id: &str) -> Endpoint {
    Endpoint {
        tls: tls.clone(),
        protocol: Protocol::Stateless,
        config_id: config_id.to_owned(),
        ..Endpoint::plain(upstream.url())
    }
}

#[tokio::test]
async fn a_node_calls_with_what_it_was_sent_and_with_what_replaced_it_from_the_next_call_on() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let upstream = upstream(Tls::new(before.pair("upstream")).clients_of(&before)).await;
    let control_plane = FakeControlPlane::start().await;
    let publish = |number, settings: &Settings, config_id| {
        let endpoint = endpoint(&upstream, settings, config_id);
        control_plane.publish(&snapshot(number, vec![domain_at("hr", endpoint, &["x"])]));
    };
    publish(1, &settings(&before, &before.pair("gateway")), "c1");
    let node = Node::following(&control_plane, 1, Options::default()).await;
    assert_eq!(node.ask("execute_tool", CALL).await["tool"], "x");

    upstream.set_tls(&Tls::new(after.pair("upstream")).clients_of(&after));
    publish(2, &settings(&after, &after.pair("gateway")), "c2");
    control_plane.wait_for_ack(2).await;
    assert_eq!(node.ask("execute_tool", CALL).await["tool"], "x");
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn settings_that_do_not_hold_harm_their_domain_alone_and_are_told_without_their_text() {
    let authority = Authority::new("private");
    let upstream = upstream(Tls::new(authority.pair("upstream"))).await;
    let good = settings(&authority, &authority.pair("gateway"));
    let broken = Settings { client_key: Some(Secret::new("hunter2".to_owned())), ..good.clone() };
    let control_plane = FakeControlPlane::start().await;
    let domains = [("bad", &broken, "y"), ("good", &good, "x")]
        .map(|(domain, settings, tool)| domain_at(domain, endpoint(&upstream, settings, domain), &[tool]));
    control_plane.publish(&snapshot(1, domains.to_vec()));
    let node = Node::following(&control_plane, 1, Options::default()).await;
    assert_eq!(node.ask("execute_tool", CALL).await["tool"], "x");
    let refused = node.ask("execute_tool", r#"{"tool_name":"y"}"#).await;
    assert_eq!(refused["code"], "execution_error");
    let words = refused["error"].as_str().unwrap();
    assert!(
        words.contains("tls.client_key: holds no private key in PEM") && !words.contains("hunter2"),
        "{words}"
    );
}

#[tokio::test]
async fn a_caller_hears_why_an_upstream_is_not_trusted() {
    let authority = Authority::new("private");
    let upstream = upstream(Tls::new(authority.pair("upstream"))).await;
    let control_plane = FakeControlPlane::start().await;
    let endpoint = endpoint(&upstream, &Settings::default(), "c1");
    control_plane.publish(&snapshot(1, vec![domain_at("hr", endpoint, &["x"])]));
    let node = Node::following(&control_plane, 1, Options::default()).await;
    let refused = node.ask("execute_tool", CALL).await;
    assert_eq!(refused["code"], "execution_error");
    assert!(
        refused["error"].as_str().unwrap().contains("certificate signed by unknown authority"),
        "{refused}"
    );
}
