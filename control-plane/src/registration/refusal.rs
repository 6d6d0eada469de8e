//! Why a registration was refused, for the node that asked: the REST code travels as the reason of an `ErrorInfo`.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use toolplane_registry::{ErrorCode, Rule};

use super::credential;
use crate::refresh;
use crate::registrar::Error;

/// When an upstream that is not ready is worth another try.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The database may have been lost in the commit, and a removal may have been made by a try before this one.
const UNCERTAIN: &str = "the control plane cannot do this right now; whether the change was made is uncertain: \
                         repeating the request is safe, and a repeated removal that answers not_found is done";

/// A request that says too little or something wrong.
pub(super) fn bad_request(message: &str) -> Status {
    status(Code::InvalidArgument, "bad_request", message, HashMap::new(), None)
}

/// A node whose token does not let it register, whoever asks it to.
pub(crate) fn not_through_this_node() -> Status {
    let message = "this node may not pass registrations on: register through another one, or give it a token made \
                   with `--allow-registration`";
    status(Code::PermissionDenied, "forbidden", message, HashMap::new(), None)
}

/// A credential that does not hold.
pub(super) fn credential(error: &credential::Error) -> Status {
    match error {
        // The same words whatever was wrong: a caller learns nothing about how far it came.
        credential::Error::Refused => {
            status(Code::Unauthenticated, "unauthorized", "unauthorized", HashMap::new(), None)
        }
        credential::Error::Disabled => {
            status(Code::Unimplemented, "not_found", "registration is not enabled", HashMap::new(), None)
        }
        // Nothing was tried yet.
        credential::Error::Store(error) => internal(
            error.code(),
            &error.to_string(),
            "the control plane cannot do this right now; nothing was changed",
        ),
    }
}

/// A change that did not happen.
pub(super) fn refuse(error: &Error) -> Status {
    let message = error.to_string();
    let about =
        |domain: &toolplane_registry::Domain| HashMap::from([("domain".to_owned(), domain.to_string())]);
    match error {
        Error::Rejected(rejections) => {
            let reason = match rejections.first().map(|rejection| rejection.rule) {
                Some(Rule::Url | Rule::UrlGuard) => "ssrf_rejected",
                Some(Rule::Header) => "header_injection_rejected",
                _ => "bad_request",
            };
            status(Code::InvalidArgument, reason, &message, HashMap::new(), None)
        }
        Error::NotFound(_) => status(Code::NotFound, "not_found", &message, HashMap::new(), None),
        Error::AlreadyExists(_) | Error::Conflict { .. } | Error::Frozen { .. } => {
            status(Code::Aborted, "conflict", &message, HashMap::new(), None)
        }
        Error::SchemaRefused(domain) => {
            status(Code::FailedPrecondition, "schema_refused", &message, about(domain), None)
        }
        Error::DigestMismatch { domain, expected, computed } => {
            let mut metadata = about(domain);
            // Beginnings only: enough to tell the two apart, not enough to skip the review.
            metadata.insert("expected".to_owned(), format!("{}...", expected.short(8)));
            metadata.insert("computed".to_owned(), format!("{}...", computed.short(8)));
            status(Code::Aborted, "conflict", &message, metadata, None)
        }
        Error::Upstream { domain, source, .. } => {
            let mut metadata = about(domain);
            if let refresh::Error::Upstream(toolplane_upstream::Error::Unauthorized(status)) = **source {
                metadata.insert("upstream_status".to_owned(), status.to_string());
                return self::status(
                    Code::FailedPrecondition,
                    "upstream_auth_failed",
                    &message,
                    metadata,
                    None,
                );
            }
            // An upstream that answers, but wrongly, will not do better in five seconds.
            let has_answered = matches!(&**source, refresh::Error::Upstream(source) if source.has_answered());
            let retry_after = (!has_answered).then_some(RETRY_AFTER);
            status(Code::Unavailable, "upstream_not_ready", &message, metadata, retry_after)
        }
        Error::Refresh(_) | Error::Store(_) | Error::Snapshots(_) => {
            internal(error.code(), &message, UNCERTAIN)
        }
    }
}

/// `unavailable` is said where the database is away.
fn internal(code: ErrorCode, message: &str, unavailable: &str) -> Status {
    match code {
        ErrorCode::Unavailable | ErrorCode::Timeout => {
            tracing::warn!(error = message, "a registration could not be made");
            let message = match code {
                // Stored, and served a little later: its own words say so.
                ErrorCode::Timeout => message,
                _ => unavailable,
            };
            status(Code::Unavailable, "control_plane_unavailable", message, HashMap::new(), Some(RETRY_AFTER))
        }
        _ => {
            tracing::error!(error = message, "a registration failed for a reason of ours");
            status(Code::Internal, "internal_error", "internal error", HashMap::new(), None)
        }
    }
}

fn status(
    code: Code,
    reason: &str,
    message: &str,
    metadata: HashMap<String, String>,
    retry_after: Option<Duration>,
) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, "toolplane", metadata);
    if retry_after.is_some() {
        details.set_retry_info(retry_after);
    }
    Status::with_error_details(code, message, details)
}
