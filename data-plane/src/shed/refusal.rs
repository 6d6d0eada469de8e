//! How a refusal is worded: as the clients of each endpoint expect it.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use serde_json::json;

/// Seconds after which it is worth trying again.
const RETRY_AFTER: u32 = 1;
/// What JSON-RPC calls a server that cannot serve.
const NOT_NOW: i32 = -32000;

/// Whom a refusal is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wording {
    /// Clients of `/mcp`: a JSON-RPC error. Which request it answers is not known, as its body was not read.
    JsonRpc,
    /// Clients of the REST endpoints.
    Rest,
}

impl Wording {
    /// 503, `Retry-After`, and the code.
    pub(super) fn refusal(self, reason: &str) -> Response {
        let body = match self {
            Self::JsonRpc => json!({
                "jsonrpc": "2.0",
                "id": null,
                "error": {
                    "code": NOT_NOW,
                    "message": reason,
                    "data": { "code": "overloaded", "retry_after_seconds": RETRY_AFTER },
                },
            }),
            Self::Rest => {
                json!({ "error": reason, "code": "overloaded", "retry_after_seconds": RETRY_AFTER })
            }
        };
        (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER.to_string())], Json(body))
            .into_response()
    }
}
