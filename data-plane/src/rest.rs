//! Everything a node serves over HTTP, on one screen.

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

use crate::live::Live;
use crate::mcp::endpoint::{self, Endpoint};

pub(crate) use self::registration::Proxy;

/// What the probes need to know.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    pub(crate) live: Arc<Live>,
    pub(crate) ready_without_tools: bool,
}

/// All routes of a node.
pub(crate) fn router(endpoint: Arc<Endpoint>, proxy: Arc<Proxy>, health: Health) -> Router {
    let registry = Router::new()
        .route("/registry/servers", get(registration::list).post(registration::register))
        .route("/registry/servers/refresh", post(registration::refresh))
        .route("/registry/servers/{domain}", delete(registration::deregister))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&proxy), only_when_enabled))
        .with_state(proxy);
    Router::new()
        .route("/mcp", any(endpoint::serve))
        .with_state(endpoint)
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
    if proxy.is_enabled() { next.run(request).await } else { not_found().await }
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
    let location = host.map_or_else(|| path.clone(), |host| format!("http://{host}{path}"));
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response()
}
