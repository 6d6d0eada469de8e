//! Bytes on the wire: what one changed tool costs a node that holds ten thousand.
//!
//! Counted between the real processes, framing and all, and compared with what the upstream itself says of its
//! domain, so that nothing of the product vouches for the product.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;
use toolplane_testkit::{FakeUpstream, FaultProxy};

use crate::harness::{Setup, operator, ready, standalone};

const DOMAINS: usize = 20;
const TOOLS_PER_DOMAIN: usize = 500;
/// How much more than the changed domain may travel: three halves of it.
const ALLOWED: (u64, u64) = (3, 2);

#[tokio::test]
async fn one_changed_tool_of_ten_thousand_costs_little_more_than_its_domain() {
    let folder = tempfile::tempdir().expect("a folder");
    let control = folder.path().join("control");
    let setup = Setup::new("control-plane", &control).arguments(&["--listen", "127.0.0.1:0"]);
    let (_control_plane, record) = setup.start("serving the admin API at").await;
    let address = record["address"].as_str().and_then(|url| url.strip_prefix("http://")).expect("an address");
    let upstreams = register(folder.path(), &control).await;
    let proxy = FaultProxy::start(address.parse::<SocketAddr>().expect("a port")).await;
    let (_node, url) = node(folder.path(), &control, &proxy).await;
    ready(&url).await;
    served(&control).await;

    let first = proxy.counts();
    let changed = tools(Some("changed"));
    upstreams[7].set_tools(&changed.iter().map(String::as_str).collect::<Vec<_>>());
    let (code, _, said) = operator(&control, &["upstream", "refresh", "domain_7"]).await;
    assert_eq!(code, 0, "{said}");
    served(&control).await;

    let second = proxy.counts();
    let domain: usize = changed.iter().map(String::len).sum();
    let change = second.to_client - first.to_client + second.to_target - first.to_target;
    assert!(change >= domain as u64 / 2, "{change} bytes cannot hold a domain of {domain}");
    assert!(is_a_delta(change, domain), "{change} bytes travelled for a domain of {domain}");
    // The same measure finds a full snapshot out: the node's first update was one.
    assert!(!is_a_delta(first.to_client, domain), "{} bytes are no full snapshot", first.to_client);
}

fn is_a_delta(bytes: u64, domain: usize) -> bool {
    bytes * ALLOWED.1 <= domain as u64 * ALLOWED.0
}

/// The tools of one upstream, the first of them as described.
fn tools(first: Option<&str>) -> Vec<String> {
    let tool = |at: usize| {
        let description =
            first.filter(|_| at == 0).unwrap_or("finds what was asked for and tells where it was");
        let schema = json!({"type": "object", "properties": {"query": {"type": "string"}}});
        json!({"name": format!("find_{at}"), "description": description, "inputSchema": schema}).to_string()
    };
    (0..TOOLS_PER_DOMAIN).map(tool).collect()
}

/// Registers all upstreams, in one go.
async fn register(folder: &Path, control: &Path) -> Vec<FakeUpstream> {
    let (mut manifest, mut upstreams) = ("upstreams:\n".to_owned(), Vec::new());
    for number in 0..DOMAINS {
        let builder =
            tools(None).iter().fold(FakeUpstream::builder().stateless(), |it, tool| it.tool_json(tool));
        let upstream = builder.start().await;
        let url = upstream.url();
        writeln!(manifest, "  - {{domain: domain_{number}, url: '{url}'}}").expect("a text grows");
        upstreams.push(upstream);
    }
    let file = folder.join("registry.yaml");
    std::fs::write(&file, manifest).expect("the file");
    let apply = ["apply", "-f", file.to_str().expect("text"), "--yes", "--no-wait"];
    let (code, _, said) = operator(control, &apply).await;
    assert_eq!(code, 0, "{said}");
    upstreams
}

/// A node that reaches the control plane through the proxy.
async fn node(folder: &Path, control: &Path, proxy: &FaultProxy) -> (crate::harness::Process, String) {
    let (code, secret, said) = operator(control, &["token", "create", "--role", "node"]).await;
    assert_eq!(code, 0, "{said}");
    let token = folder.join("node.token");
    std::fs::write(&token, secret).expect("the token file");
    let address = format!("http://{}", proxy.address());
    let token = token.to_str().expect("text");
    let arguments = ["--control-plane", &address, "--token-file", token];
    standalone(&Setup::new("data-plane", &folder.join("node")).arguments(&arguments)).await
}

/// Waits until the node has confirmed the newest version: all that belongs to it has travelled then.
async fn served(control: &Path) {
    let (code, _, said) = operator(control, &["snapshot", "wait"]).await;
    assert_eq!(code, 0, "{said}");
}
