//! Who is who: which calls reach the same upstream, and which of them come from the same caller.

use http::HeaderMap;
use toolplane_registry::Digest;
use toolplane_registry::digest::Hasher;

use super::Target;

/// Headers that differ from call to call and say nothing of who calls. All others tell callers apart.
const PER_CALL: [&str; 15] = [
    "b3",
    "baggage",
    "cf-ray",
    "traceparent",
    "tracestate",
    "x-amzn-trace-id",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-spanid",
    "x-b3-traceid",
    "x-cloud-trace-context",
    "x-correlation-id",
    "x-envoy-expected-rq-timeout-ms",
    "x-request-id",
    "x-request-start",
];

/// An upstream, and a caller of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) upstream: Digest,
    pub(super) caller: Digest,
}

impl Identity {
    pub(super) fn of(target: &Target) -> Self {
        Self { upstream: upstream(target), caller: caller(target) }
    }
}

/// Tells upstreams apart, by address and configuration.
pub(super) fn upstream(target: &Target) -> Digest {
    place(target).finish()
}

fn place(target: &Target) -> Hasher {
    let hasher = Hasher::default().text(&target.url).text(&target.config_id);
    match &target.tls {
        None => hasher,
        // A session belongs to whom the certificate showed.
        Some(secured) => hasher.field(secured.id().as_bytes()),
    }
}

/// Headers that may outlive the call they came with.
pub(super) fn lasting(headers: &HeaderMap) -> HeaderMap {
    let mut lasting = headers.clone();
    for name in PER_CALL {
        lasting.remove(name);
    }
    lasting
}

/// Tells callers apart: by everything they send except what differs from call to call.
fn caller(target: &Target) -> Digest {
    let mut headers: Vec<(&str, &[u8])> = target
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .filter(|(name, _)| !PER_CALL.contains(name))
        .collect();
    headers.sort_unstable();
    let mut hasher = place(target);
    for (name, value) in headers {
        hasher = hasher.text(name).field(value);
    }
    hasher.finish()
}
