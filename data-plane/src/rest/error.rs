//! Refusals of the control plane, and our own, as REST answers. The only place that knows HTTP statuses of them.

use std::collections::HashMap;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Details that are numbers in JSON.
const NUMBERS: [&str; 2] = ["upstream_status", "retry_after_seconds"];

/// A refusal.
#[derive(Debug, PartialEq)]
pub(super) struct Error {
    status: StatusCode,
    code: String,
    message: String,
    details: HashMap<String, String>,
    retry_after: Option<Duration>,
}

impl Error {
    /// The request is malformed.
    pub(super) fn bad_request(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// The body is over the limit.
    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "bad_request", "the body is larger than this node accepts")
    }

    /// The change is made, but this node does not serve it yet.
    pub(super) fn not_served_yet() -> Self {
        let message = "the change is stored, but this node does not serve it yet";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "control_plane_unavailable", message)
    }

    /// This node has just started and does not know the registry yet.
    pub(super) fn starting() -> Self {
        let message = "this node has no snapshot yet; try again in a moment";
        let retry_after = Some(Duration::from_secs(1));
        Self {
            retry_after,
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "control_plane_unavailable", message)
        }
    }

    fn new(status: StatusCode, code: &str, message: &str) -> Self {
        let (code, message) = (code.to_owned(), message.to_owned());
        Self { status, code, message, details: HashMap::new(), retry_after: None }
    }
}

impl From<Status> for Error {
    /// For a question that changes nothing.
    fn from(status: Status) -> Self {
        Self::of(&status, "nothing was changed")
    }
}

impl Error {
    /// A registration that failed: another control plane may have been asked before, and the answer may be lost.
    pub(super) fn of_registration(status: &Status) -> Self {
        Self::of(status, "whether the change was made is uncertain: repeating the registration is safe")
    }

    /// A removal that failed.
    pub(super) fn of_removal(status: &Status) -> Self {
        let unreached = "whether the domain was removed is uncertain: repeating the removal is safe, and one that \
                         answers `not_found` is done";
        Self::of(status, unreached)
    }

    /// An acceptance of a schema that failed.
    pub(super) fn of_acceptance(status: &Status) -> Self {
        Self::of(status, "whether the change was made is uncertain: repeating the request is safe")
    }

    /// `unreached` says what is known of the change where the control plane does not.
    fn of(status: &Status, unreached: &str) -> Self {
        let details = status.get_error_details();
        let Some(info) = details.error_info() else { return without_reason(status, unreached) };
        let known = match info.reason.as_str() {
            "unauthorized" => StatusCode::UNAUTHORIZED,
            // The node may not, whatever the caller may.
            "forbidden" => StatusCode::FORBIDDEN,
            "bad_request" | "ssrf_rejected" | "header_injection_rejected" => StatusCode::BAD_REQUEST,
            "not_found" => StatusCode::NOT_FOUND,
            "schema_refused" | "conflict" => StatusCode::CONFLICT,
            "upstream_auth_failed" => StatusCode::UNPROCESSABLE_ENTITY,
            "upstream_not_ready" | "control_plane_unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            _ => return without_reason(status, unreached),
        };
        Self {
            details: info.metadata.clone(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            ..Self::new(known, &info.reason, status.message())
        }
    }
}

/// A status that no rule of the control plane explains: it is away, it is ours, or it is of another build.
fn without_reason(status: &Status, unreached: &str) -> Error {
    let (http, code) = match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => (StatusCode::UNAUTHORIZED, "unauthorized"),
        Code::InvalidArgument | Code::OutOfRange => (StatusCode::BAD_REQUEST, "bad_request"),
        Code::NotFound => (StatusCode::NOT_FOUND, "not_found"),
        Code::AlreadyExists | Code::Aborted | Code::FailedPrecondition => (StatusCode::CONFLICT, "conflict"),
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
            tracing::warn!(code = ?status.code(), "cannot reach the control plane: {}", status.message());
            let message = format!("the control plane cannot be reached; {unreached}");
            return Error::new(StatusCode::SERVICE_UNAVAILABLE, "control_plane_unavailable", &message);
        }
        _ => {
            tracing::error!(code = ?status.code(), "the control plane failed: {}", status.message());
            let message = "the control plane could not do this";
            return Error::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message);
        }
    };
    Error::new(http, code, status.message())
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let Self { status, code, message, details, retry_after } = self;
        let mut body = Map::new();
        for (key, value) in details {
            let number = NUMBERS.contains(&key.as_str()).then(|| value.parse::<u64>().ok()).flatten();
            body.insert(key, number.map_or(Value::String(value), Value::from));
        }
        body.insert("error".to_owned(), Value::String(message));
        body.insert("code".to_owned(), Value::String(code));
        if let Some(delay) = retry_after {
            body.entry("retry_after_seconds").or_insert_with(|| Value::from(delay.as_secs()));
        }
        let mut response = (status, Json(Value::Object(body))).into_response();
        if let Some(delay) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(delay.as_secs()));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use tonic_types::ErrorDetails;

    use super::*;

    fn refused(code: Code, reason: &str) -> Status {
        let details = ErrorDetails::with_error_info(reason, "toolplane", HashMap::new());
        Status::with_error_details(code, "why", details)
    }

    #[test]
    fn every_reason_has_its_status() {
        for (reason, status) in [
            ("unauthorized", 401),
            ("forbidden", 403),
            ("bad_request", 400),
            ("ssrf_rejected", 400),
            ("header_injection_rejected", 400),
            ("not_found", 404),
            ("schema_refused", 409),
            ("conflict", 409),
            ("upstream_auth_failed", 422),
            ("upstream_not_ready", 503),
        ] {
            let error = Error::from(refused(Code::FailedPrecondition, reason));
            assert_eq!((error.status.as_u16(), error.code.as_str()), (status, reason));
        }
    }

    #[test]
    fn a_missing_control_plane_is_not_a_fault_of_ours() {
        let code = |status: Status| Error::from(status).code;
        assert_eq!(code(Status::unavailable("connection refused")), "control_plane_unavailable");
        assert_eq!(code(Status::deadline_exceeded("")), "control_plane_unavailable");
        let internal = Error::from(Status::internal("sql: secret"));
        assert_eq!(internal.code, "internal");
        assert!(!internal.message.contains("sql"), "internal details stay inside");
        assert_eq!(code(Status::unauthenticated("")), "unauthorized");
        assert_eq!(code(refused(Code::NotFound, "a_newer_reason")), "not_found");
    }

    #[test]
    fn that_nothing_was_changed_is_said_only_where_it_is_certain() {
        let status = Status::unavailable("connection reset");
        assert!(Error::from(status.clone()).message.ends_with("nothing was changed"));
        for change in [Error::of_registration, Error::of_removal, Error::of_acceptance] {
            let Error { message, code, .. } = change(&status);
            assert_eq!(code, "control_plane_unavailable");
            assert!(message.contains("uncertain") && message.contains("is safe"), "{message}");
            assert!(!message.contains("nothing was changed"), "{message}");
        }
        let told = Error::of_removal(&refused(Code::NotFound, "not_found"));
        assert_eq!((told.code.as_str(), told.message.as_str()), ("not_found", "why"));
    }

    #[tokio::test]
    async fn details_and_delays_reach_the_client() {
        let mut details = ErrorDetails::with_error_info(
            "upstream_not_ready",
            "toolplane",
            HashMap::from([("domain".to_owned(), "late".to_owned())]),
        );
        details.set_retry_info(Some(Duration::from_secs(5)));
        let status = Status::with_error_details(Code::Unavailable, "not yet reachable", details);
        let response = Error::from(status).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "error": "not yet reachable", "code": "upstream_not_ready",
                "domain": "late", "retry_after_seconds": 5
            })
        );
    }
}
