//! Errors as gRPC statuses: the one place of the admin API that knows status codes.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};
use toolplane_registry::{ErrorCode, Rejection};

use crate::registrar;
use crate::store;

/// The status of a failure kind.
fn code(code: ErrorCode) -> Code {
    match code {
        ErrorCode::InvalidInput => Code::InvalidArgument,
        ErrorCode::NotFound => Code::NotFound,
        ErrorCode::AlreadyExists => Code::AlreadyExists,
        ErrorCode::Unauthenticated => Code::Unauthenticated,
        ErrorCode::Forbidden => Code::PermissionDenied,
        ErrorCode::Conflict => Code::Aborted,
        ErrorCode::RateLimited => Code::ResourceExhausted,
        ErrorCode::UpstreamFailed => Code::FailedPrecondition,
        ErrorCode::Unavailable => Code::Unavailable,
        ErrorCode::Timeout => Code::DeadlineExceeded,
        ErrorCode::Internal => Code::Internal,
    }
}

/// A change that did not happen.
pub(super) fn change(error: &registrar::Error) -> Status {
    match error {
        registrar::Error::Rejected(rejections) => rejected(rejections),
        error => plain(error.code(), error),
    }
}

/// A store that failed.
pub(super) fn store(error: &store::Error) -> Status {
    plain(error.code(), error)
}

/// Every rejection as a field violation.
pub(super) fn rejected(rejections: &[Rejection]) -> Status {
    let violations: Vec<FieldViolation> = rejections
        .iter()
        .map(|rejection| {
            FieldViolation::new(&rejection.subject, format!("{}: {}", rejection.rule, rejection.reason))
        })
        .collect();
    let message = rejections.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Status::with_error_details(Code::InvalidArgument, message, ErrorDetails::with_bad_request(violations))
}

/// A field that says something wrong.
pub(super) fn invalid(field: &str, reason: impl std::fmt::Display) -> Status {
    let details = ErrorDetails::with_bad_request_violation(field, reason.to_string());
    Status::with_error_details(Code::InvalidArgument, format!("`{field}`: {reason}"), details)
}

fn plain(kind: ErrorCode, error: &dyn std::error::Error) -> Status {
    if kind == ErrorCode::Unavailable {
        tracing::warn!(%error, "a request could not be served");
        return Status::unavailable("the database does not answer; the control plane's log says more");
    }
    if kind == ErrorCode::Internal {
        tracing::error!(%error, "a request failed for a reason of ours");
        return Status::internal("internal error; the control plane's log says more");
    }
    Status::new(code(kind), error.to_string())
}
