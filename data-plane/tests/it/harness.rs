//! Starts nodes and talks to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use toolplane_data_plane::live::Live;
use toolplane_data_plane::{Address, Options, Service};
use toolplane_registry::snapshot::{Builder, DomainSnapshot, Endpoint, Settings};
use toolplane_registry::test_util::a_tool;
use toolplane_registry::{Domain, Group, RawJson, Snapshot, Tool, Version};
use toolplane_testkit::{FakeControlPlane, FakeUpstream};

/// Long enough for anything that happens at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running node.
pub(crate) struct Node {
    pub(crate) address: String,
    pub(crate) http: reqwest::Client,
    live: Arc<toolplane_data_plane::Handle>,
    shutdown: CancellationToken,
    running: JoinSet<()>,
}

/// An HTTP answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }
}

impl Node {
    #[expect(clippy::disallowed_methods, reason = "the client of a test, not a way out to upstreams")]
    pub(crate) async fn start(options: Options) -> Self {
        let service = Service::new(options).unwrap();
        let live = Arc::new(service.handle());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shutdown = CancellationToken::new();
        let mut running = JoinSet::new();
        let stop = shutdown.clone();
        running.spawn(async move { service.run(listener, stop).await.unwrap() });
        // The test's own client wants a provider, though it never speaks TLS; another test may have been first.
        let _already = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self { address, http, live, shutdown, running }
    }

    /// A node that follows the control plane and serves version `number`.
    pub(crate) async fn following(control_plane: &FakeControlPlane, number: u64, options: Options) -> Self {
        let control_planes = vec![Address::parse(&control_plane.address()).unwrap()];
        let node = Self::start(Options { control_planes, ..options }).await;
        let version = Version::new("store", number);
        assert!(node.live().wait_for(&version, PATIENCE).await, "the node serves the snapshot");
        node
    }

    pub(crate) fn live(&self) -> &Live {
        self.live.live()
    }

    pub(crate) fn gate(&self) -> &toolplane_data_plane::shed::Gate {
        self.live.gate()
    }

    /// Waits until the node holds nothing for any request.
    pub(crate) async fn nothing_is_held(&self) {
        let released = async {
            while self.gate().load().buffered_bytes > 0 || self.gate().load().requests > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, released).await.expect("everything is given back");
    }

    pub(crate) fn version(&self) -> u64 {
        self.live().load().snapshot().version().number()
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = tokio::time::timeout(PATIENCE, request.send()).await.unwrap().unwrap();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let status = response.status().as_u16();
        Answer { status, headers, body: response.text().await.unwrap() }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("http://{}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    /// Posts a message to `/mcp` as an ordinary client does.
    pub(crate) async fn rpc(&self, message: &str) -> Answer {
        self.rpc_with(message, &[]).await
    }

    pub(crate) async fn rpc_with(&self, message: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self
            .request("POST", "/mcp")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(message.to_owned())).await
    }

    /// Calls a meta-tool; the raw body of the answer.
    pub(crate) async fn call_raw(&self, tool: &str, arguments: &str) -> String {
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
        );
        let answer = self.rpc(&message).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    /// Calls a meta-tool; the result as a value.
    pub(crate) async fn call(&self, tool: &str, arguments: &str) -> Value {
        let body: Value = serde_json::from_str(&self.call_raw(tool, arguments).await).unwrap();
        body["result"].clone()
    }

    /// Calls a meta-tool; the JSON in its first text block.
    pub(crate) async fn ask(&self, tool: &str, arguments: &str) -> Value {
        inner(&self.call(tool, arguments).await)
    }

    pub(crate) fn begin_drain(&self) {
        self.shutdown.cancel();
    }

    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.running.join_next()).await;
        ended.expect("the node stops in time").unwrap().unwrap();
    }
}

/// The headers of a call of `execute_tool` in the stateless revision.
pub(crate) fn executes(tool: &str) -> [(&'static str, &str); 4] {
    [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "execute_tool"),
        ("mcp-param-tool", tool),
    ]
}

/// The JSON in the first text block of a result.
pub(crate) fn inner(result: &Value) -> Value {
    let text = result["content"][0]["text"].as_str().unwrap();
    serde_json::from_str(text).unwrap()
}

/// A snapshot of version `number` with registration switched on.
pub(crate) fn snapshot(number: u64, domains: Vec<DomainSnapshot>) -> Snapshot {
    let settings = Settings { registration_enabled: true, ..Settings::default() };
    let builder = Builder::new(Version::new("store", number)).settings(settings);
    domains.into_iter().fold(builder, Builder::domain).build().unwrap()
}

/// A domain whose tools take anything and are called at the upstream.
pub(crate) fn domain(name: &str, upstream: &FakeUpstream, tools: &[&str]) -> DomainSnapshot {
    domain_at(name, Endpoint::plain(upstream.url()), tools)
}

pub(crate) fn domain_at(name: &str, endpoint: Endpoint, tools: &[&str]) -> DomainSnapshot {
    let open = RawJson::parse(r#"{"type":"object"}"#).unwrap();
    let domain = Domain::parse(name).unwrap();
    let tools = tools.iter().map(|name| {
        let tool = a_tool(name);
        let group = Group::infer(&domain, &tool.original_name);
        Arc::new(Tool { group, input_schema: open.clone(), ..tool })
    });
    let tools = tools.collect();
    DomainSnapshot::new(domain, String::new(), endpoint, tools)
}

/// An upstream, a control plane that serves it as domain `echo`, and a node that follows.
pub(crate) struct World {
    pub(crate) upstream: FakeUpstream,
    pub(crate) control_plane: FakeControlPlane,
    pub(crate) node: Node,
}

impl World {
    pub(crate) async fn start(tools: &[&str], options: Options) -> Self {
        let mut builder = FakeUpstream::builder().stateless();
        for tool in tools {
            builder = builder.tool(tool);
        }
        let upstream = builder.start().await;
        let control_plane = FakeControlPlane::start().await;
        control_plane.publish(&snapshot(1, vec![domain("echo", &upstream, tools)]));
        let node = Node::following(&control_plane, 1, options).await;
        Self { upstream, control_plane, node }
    }
}
