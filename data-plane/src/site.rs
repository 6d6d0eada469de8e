//! What a node serves: `/mcp`, which nearly every request is for, and all other routes.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse as _, Response};
use axum::{BoxError, Router};
use bytes::Bytes;
use http::Request;
use tower::ServiceExt as _;

use crate::mcp::endpoint::Endpoint;
use crate::shed::{Client, Gate, Wording};

const MCP: &str = "/mcp";

/// Answers every request.
pub(crate) struct Site {
    endpoint: Endpoint,
    others: Router,
    gate: Gate,
}

impl Site {
    pub(crate) fn new(endpoint: Endpoint, others: Router, gate: Gate) -> Arc<Self> {
        Arc::new(Self { endpoint, others, gate })
    }

    /// Answers a request of that client.
    pub(crate) async fn answer<B>(&self, mut request: Request<B>, client: Client) -> Response
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        if request.uri().path() == MCP {
            let peer = client.peer();
            let next = |request, room| self.endpoint.serve(request, peer, room);
            return self.gate.pass(Wording::JsonRpc, client, request, next).await;
        }
        request.extensions_mut().insert(client);
        // Boxed: few requests come this way.
        let answered = Box::pin(self.others.clone().oneshot(request.map(Body::new)));
        answered.await.into_response()
    }
}
