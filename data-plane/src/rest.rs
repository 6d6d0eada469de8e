//! Everything a node serves over HTTP beside `/mcp`, on one screen.

mod error;
mod health;
mod registration;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, delete, get, post};
use http::{HeaderMap, StatusCode, Uri, header};
use tokio_util::sync::CancellationToken;

use crate::live::Live;
use crate::shed::{self, Gate, Wording};

pub(crate) use self::registration::Proxy;

/// What the probes need to know.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    pub(crate) live: Arc<Live>,
    pub(crate) ready_without_tools: bool,
    /// Cancelled once the node is told to stop.
    pub(crate) draining: CancellationToken,
}

/// All routes of a node but `/mcp`.
pub(crate) fn router(proxy: Arc<Proxy>, health: Health, gate: &Gate) -> Router {
    let shedding = middleware::from_fn_with_state((gate.clone(), Wording::Rest), shed::admit);
    let registry = Router::new()
        .route("/registry/servers", get(registration::list).post(registration::register))
        .route(
            "/registry/servers/refresh",
            post(registration::refresh).delete(registration::deregister_refresh),
        )
        .route("/registry/servers/{domain}", delete(registration::deregister))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&proxy), only_when_enabled))
        .route_layer(shedding)
        .with_state(proxy);
    // What comes without a layer is answered under any load.
    Router::new()
        .route("/mcp/", any(without_slash))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .with_state(health)
        .merge(registry)
        .fallback(not_found)
}

/// Without a registration token the endpoints do not exist.
async fn only_when_enabled(
    State(proxy): State<Arc<Proxy>>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    if proxy.is_enabled() {
        next.run(request).await
    } else if proxy.is_starting() {
        // 404 would tell a controller that the feature is not there.
        error::Error::starting().into_response()
    } else {
        not_found().await
    }
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "Not Found").into_response()
}

/// Clients that were given `/mcp/` are sent on with method and body.
async fn without_slash(uri: Uri, headers: HeaderMap) -> Response {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = format!("/mcp{query}");
    // Absolute where the client said whom it talks to: some do not follow a relative location.
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let location = host.map_or_else(|| path.clone(), |host| format!("{}://{host}{path}", scheme(&headers)));
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response()
}

/// How the client came. A node speaks no TLS itself; where a proxy in front does, nobody is sent back to cleartext.
fn scheme(headers: &HeaderMap) -> &'static str {
    let forwarded = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
    // Each proxy adds its own; the first is the one the client spoke to.
    let first = forwarded.and_then(|value| value.split(',').next()).unwrap_or_default();
    if first.trim().eq_ignore_ascii_case("https") { "https" } else { "http" }
}
