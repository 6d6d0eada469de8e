//! Probes: is the process alive, and may it be sent requests.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::{Value, json};
use toolplane_registry::Snapshot;

use super::Health;

/// Always yes: whoever can answer is alive.
pub(super) async fn alive(State(health): State<Health>) -> Response {
    Json(with_staleness(json!({ "status": "ok" }), health.live.stale_for())).into_response()
}

/// Whether this node can do what clients come for. Stale counts as ready: last-known-good is there to be served.
pub(super) async fn ready(State(health): State<Health>) -> Response {
    if health.draining.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "draining" }))).into_response();
    }
    let served = health.live.load();
    match readiness(served.snapshot(), health.live.is_settled(), health.ready_without_tools) {
        Ok(tools) => {
            let body = json!({ "status": "ready", "tools": tools });
            Json(with_staleness(body, health.live.stale_for())).into_response()
        }
        Err(reason) => {
            let body = Json(json!({ "status": "not_ready", "reason": reason }));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

/// Says for how long what is served may be out of date; of a current node nothing is said.
fn with_staleness(mut body: Value, stale_for: Option<Duration>) -> Value {
    if let (Some(age), Some(fields)) = (stale_for, body.as_object_mut()) {
        fields.insert("stale".to_owned(), true.into());
        fields.insert("stale_seconds".to_owned(), age.as_secs().into());
    }
    body
}

/// How many tools are served, or what is missing.
fn readiness(snapshot: &Snapshot, settled: bool, ready_without_tools: bool) -> Result<usize, &'static str> {
    if snapshot.version().is_none() {
        return Err("no snapshot has been received yet");
    }
    if !settled {
        return Err("some upstreams have not been asked for their tools yet");
    }
    let tools = snapshot.tool_count();
    // An empty registry is ready: otherwise nobody could register through a load balancer.
    if tools == 0 && !snapshot.domains().is_empty() && !ready_without_tools {
        return Err("no upstream has offered a tool yet");
    }
    Ok(tools)
}

#[cfg(test)]
mod tests {
    use toolplane_registry::Version;
    use toolplane_registry::snapshot::{Builder, DomainSnapshot};
    use toolplane_registry::test_util::{a_domain, a_tool};

    use super::*;

    fn snapshot(number: u64, domains: Vec<DomainSnapshot>) -> Snapshot {
        let version = if number == 0 { Version::none() } else { Version::new("s", number) };
        domains.into_iter().fold(Builder::new(version), Builder::domain).build().unwrap()
    }

    #[test]
    fn only_a_stale_node_speaks_of_its_age() {
        let body = || json!({ "status": "ok" });
        assert_eq!(with_staleness(body(), None).to_string(), r#"{"status":"ok"}"#);
        let stale = with_staleness(body(), Some(Duration::from_millis(2_900)));
        assert_eq!(stale, json!({ "status": "ok", "stale": true, "stale_seconds": 2 }));
    }

    #[test]
    fn readiness_follows_what_is_served() {
        let full = || a_domain("a", vec![a_tool("x")]);
        let bare = || a_domain("b", vec![]);
        assert!(readiness(&snapshot(0, vec![]), true, true).is_err());
        assert_eq!(readiness(&snapshot(1, vec![]), true, false), Ok(0));
        assert_eq!(readiness(&snapshot(1, vec![full(), bare()]), true, false), Ok(1));
        assert!(readiness(&snapshot(1, vec![bare()]), true, false).is_err());
        assert_eq!(readiness(&snapshot(1, vec![bare()]), true, true), Ok(0));
        assert!(readiness(&snapshot(1, vec![full()]), false, true).is_err());
    }
}
