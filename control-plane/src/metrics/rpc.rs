//! Measures requests of the gRPC API, whoever makes them.
//!
//! Stands in front of everything, the token check included. A method that is none of ours has one name for all: a
//! client must not be able to make up series.

use std::collections::HashSet;
use std::sync::LazyLock;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tokio::time::Instant;

use super::Metrics;

const OTHER: &str = "_OTHER";
/// By number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Methods of our own services, as `package.Service/Method`.
static METHODS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let files = FileDescriptorSet::decode(toolplane_proto::FILE_DESCRIPTOR_SET).unwrap_or_default().file;
    let of_file = |file: prost_types::FileDescriptorProto| {
        let package = file.package().to_owned();
        file.service.into_iter().flat_map(move |service| {
            let service_name = format!("{package}.{}", service.name());
            service.method.into_iter().map(move |method| format!("{service_name}/{}", method.name()))
        })
    };
    files.into_iter().flat_map(of_file).collect()
});

/// Notes how each request was answered.
pub(crate) async fn measure(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    if !metrics.0.on {
        return next.run(request).await;
    }
    let (began, method) = (Instant::now(), known(request.uri().path()));
    let response = next.run(request).await;
    metrics.rpc(method, code(&response), began.elapsed());
    response
}

fn known(path: &str) -> &'static str {
    METHODS.get(path.trim_start_matches('/')).map_or(OTHER, String::as_str)
}

/// A failure says so in the head of the answer; where nothing is said, the answer is on its way.
fn code(response: &Response) -> &'static str {
    let status = response.headers().get("grpc-status").and_then(|value| value.to_str().ok());
    let number: usize = status.and_then(|text| text.parse().ok()).unwrap_or(0);
    CODES.get(number).copied().unwrap_or("UNKNOWN")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_methods_have_names() {
        assert_eq!(
            known("/toolplane.admin.v1.UpstreamService/CreateUpstream"),
            "toolplane.admin.v1.UpstreamService/CreateUpstream"
        );
        assert_eq!(
            known("/toolplane.sync.v1.SyncService/Subscribe"),
            "toolplane.sync.v1.SyncService/Subscribe"
        );
        assert_eq!(known("/toolplane.admin.v1.UpstreamService/MadeUp"), OTHER);
        assert_eq!(known("/"), OTHER);
    }

    #[test]
    fn codes_are_told_by_name() {
        let refused = tonic::Status::unauthenticated("no").into_http::<axum::body::Body>();
        assert_eq!(code(&refused), "UNAUTHENTICATED");
        assert_eq!(code(&Response::default()), "OK");
    }
}
