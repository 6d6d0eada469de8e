//! `GET /metrics`, on a port of its own.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{StatusCode, header};
use prometheus::{Registry, TextEncoder};
use tokio::task::JoinSet;

use crate::commands::listen;
use crate::exit::Failure;

/// Serves until the result is dropped.
pub(super) async fn serve(address: SocketAddr, registry: Registry) -> Result<JoinSet<()>, Failure> {
    let (listener, address) = listen::tcp(&address.ip().to_string(), address.port()).await?;
    let url = format!("http://{address}/metrics");
    tracing::info!(%url, "serving metrics at {url}");
    let router = Router::new().route("/metrics", get(scrape)).with_state(registry);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "metrics are no longer served");
        }
    });
    Ok(tasks)
}

async fn scrape(State(registry): State<Registry>) -> Response {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written down");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
