//! What processes tell about themselves: scraped, and pushed to a collector.

mod limits;
mod rollout;

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tonic::transport::server::{Server, TcpIncoming};
use tonic::{Request, Response, Status};
use toolplane_testkit::{FakeUpstream, TestDatabase};

use crate::harness::{Process, Session, Setup, Split, register, standalone, until};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

#[tokio::test]
async fn scraped_metrics_show_the_version_moving_and_staleness_rising() {
    let database = TestDatabase::sqlite();
    let split = Split::new(database.url()).set("TOOLPLANE_METRICS_LISTEN", "127.0.0.1:0");
    let mut control_plane = split.control_plane().await;
    let control_url = scraped(&mut control_plane).await;
    let (mut node, url) = split.node("a").await;
    let node_url = scraped(&mut node).await;
    let before = value(&node_url, "toolplane_node_snapshot_version").await.expect("a version");
    assert_eq!(value(&node_url, "toolplane_node_connected").await, Some(1.0));

    let upstream = FakeUpstream::builder().tool("search").start().await;
    assert_eq!(register(&url, "docs", &upstream.url()).await.expect("an answer").0, 200);
    let after = value(&node_url, "toolplane_node_snapshot_version").await.expect("a version");
    assert!(after > before, "{before} to {after}");
    assert_eq!(value(&control_url, "toolplane_control_plane_published_version").await, Some(after));
    assert_eq!(value(&control_url, "toolplane_control_plane_head_version").await, Some(after));
    assert_eq!(value(&control_url, "toolplane_control_plane_streams").await, Some(1.0));

    let answer = Session::open(&url).await;
    answer.ask("execute_tool", json!({"tool_name": "search", "arguments": {"q": "ada"}})).await;
    let calls = r#"toolplane_node_upstream_calls_total{toolplane_domain="docs",toolplane_outcome="ok"}"#;
    assert_eq!(value(&node_url, calls).await, Some(1.0));
    assert_eq!(value(&node_url, "toolplane_node_call_active").await, Some(0.0));
    assert_eq!(value(&node_url, "toolplane_node_stale_seconds").await, Some(0.0));

    control_plane.crash().await;
    until("the node knows", async || value(&node_url, "toolplane_node_connected").await == Some(0.0)).await;
    let age = value(&node_url, "toolplane_node_stale_seconds").await.expect("an age");
    until("it gets older", async || {
        value(&node_url, "toolplane_node_stale_seconds").await.expect("an age") > age
    })
    .await;
    let (code, _) = exchange(&node_url, "GET /other HTTP/1.1", "", "").await;
    assert_eq!(code, 404, "nothing else is served there");
}

#[tokio::test]
async fn the_end_of_a_process_sends_its_spans_and_metrics_to_the_collector() {
    let collector = Collector::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    // Nothing is sent before the end: what arrives was flushed.
    let setup = Setup::new("standalone", folder.path())
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)
        .set("OTEL_RESOURCE_ATTRIBUTES", "zone=a")
        .set("OTEL_BSP_SCHEDULE_DELAY", "3600000")
        .set("OTEL_METRIC_EXPORT_INTERVAL", "3600000");
    let (process, url) = standalone(&setup).await;
    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "discover_tools", "arguments": {}},
    });
    let headers = format!(
        "content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         traceparent: 00-{TRACE}-{PARENT}-01\r\n"
    );
    until("it answers", async || {
        exchange(&url, "POST /mcp HTTP/1.1", &headers, &call.to_string()).await.0 == 200
    })
    .await;
    assert!(collector.received().0.is_empty(), "nothing was to be sent yet");
    assert!(process.terminate().await.success());

    let (spans, metrics) = collector.received();
    let resource = spans[0].resource_spans[0].resource.as_ref().expect("who sends it");
    let keys: Vec<&str> = resource.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    assert!(["service.name", "service.version", "zone"].iter().all(|key| keys.contains(key)), "{keys:?}");
    let all = spans.iter().flat_map(|one| &one.resource_spans).flat_map(|one| &one.scope_spans);
    let all: Vec<_> = all.flat_map(|one| &one.spans).collect();
    let called = all.iter().find(|span| span.name == "gateway.discover_tools").expect("the span of the call");
    assert_eq!((hex(&called.trace_id), hex(&called.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    let all = metrics.iter().flat_map(|one| &one.resource_metrics).flat_map(|one| &one.scope_metrics);
    let names: Vec<&str> = all.flat_map(|one| &one.metrics).map(|metric| metric.name.as_str()).collect();
    for name in ["toolplane.node.call.duration", "toolplane.control_plane.published.version"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
}

#[tokio::test]
async fn a_metrics_port_in_use_fails_the_start_and_a_collector_that_is_away_fails_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = taken.local_addr().expect("its number").port().to_string();
    let failing =
        Setup::new("standalone", folder.path()).set("TOOLPLANE_METRICS_LISTEN", &format!("127.0.0.1:{port}"));
    let (code, said) = failing.run().await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&port), "{said}");

    drop(taken);
    let alone = Setup::new("standalone", folder.path())
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://127.0.0.1:{port}"));
    let (process, _) = standalone(&alone).await;
    assert!(process.terminate().await.success());
}

// ---- scraping ----

async fn scraped(process: &mut Process) -> String {
    process.record("serving metrics at").await["url"].as_str().expect("a url").to_owned()
}

/// The value of a series, given by its name, or by its name and labels; by the first of its labels where one is enough.
async fn value(url: &str, series: &str) -> Option<f64> {
    let (code, text) = exchange(url, "GET /metrics HTTP/1.1", "", "").await;
    assert_eq!(code, 200, "{text}");
    let of_series = |line: &&str| {
        let rest = line.strip_prefix(series)?;
        rest.starts_with([' ', '{', ',', '}']).then_some(())
    };
    let line = text.lines().find(|line| of_series(line).is_some())?;
    line.rsplit(' ').next()?.parse().ok()
}

/// One exchange over a connection of its own: status and body.
async fn exchange(url: &str, request: &str, headers: &str, body: &str) -> (u16, String) {
    let authority = url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).expect("an http url");
    let length = body.len();
    let text = format!(
        "{request}\r\nhost: {authority}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(authority).await.expect("a connection");
    stream.write_all(text.as_bytes()).await.expect("it takes the request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (code, body.to_owned())
}

// ---- pushing ----

type Received = (Vec<ExportTraceServiceRequest>, Vec<ExportMetricsServiceRequest>);

/// Takes whatever is exported.
struct Collector {
    url: String,
    received: Arc<Mutex<Received>>,
    _server: JoinSet<()>,
}

#[derive(Clone)]
struct Inbox(Arc<Mutex<Received>>);

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its number"));
        let received = Arc::<Mutex<Received>>::default();
        let inbox = Inbox(Arc::clone(&received));
        let router = Server::builder()
            .add_service(TraceServiceServer::new(inbox.clone()))
            .add_service(MetricsServiceServer::new(inbox));
        let mut server = JoinSet::new();
        server.spawn(async move {
            router.serve_with_incoming(TcpIncoming::from(listener)).await.expect("it serves");
        });
        Self { url, received, _server: server }
    }

    fn received(&self) -> Received {
        self.received.lock().expect("nobody panicked").clone()
    }
}

#[tonic::async_trait]
impl TraceService for Inbox {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().expect("nobody panicked").0.push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Inbox {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.0.lock().expect("nobody panicked").1.push(request.into_inner());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}
