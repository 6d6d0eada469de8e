//! The yardstick: the least that anything in front of an upstream has to do.
//!
//! A process of its own, of the parts that a node is made of: it reads the body of a request, sends it on over a pooled
//! connection as it came, and returns the answer. It reads no MCP, keeps no registry, checks, limits and records
//! nothing.

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::serve::ListenerExt as _;
use http_body_util::Full;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST};
use hyper::{Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;

/// As much as a node accepts.
const MAX_BODY_BYTES: usize = 4 << 20;

/// What every request needs.
#[derive(Debug, Clone)]
struct Way {
    client: Client<HttpConnector, Full<Bytes>>,
    /// `http://ADDRESS:PORT`.
    upstream: String,
}

/// Serves until it is ended; says first where.
pub(crate) async fn run(upstream: String) -> anyhow::Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let router = Router::new().fallback(forward).with_state(Way { client, upstream });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // A connection that is gone already needs none.
        drop(stream.set_nodelay(true));
    });
    Ok(axum::serve(listener, router).await?)
}

async fn forward(State(way): State<Way>, request: Request<Body>) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let Ok(uri) = format!("{}{}", way.upstream, parts.uri.path()).parse::<Uri>() else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    parts.uri = uri;
    for of_one_connection in [HOST, CONNECTION, CONTENT_LENGTH] {
        parts.headers.remove(of_one_connection);
    }
    match way.client.request(Request::from_parts(parts, Full::new(body))).await {
        Ok(answer) => answer.map(Body::new),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}
