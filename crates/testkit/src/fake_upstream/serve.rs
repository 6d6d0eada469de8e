//! The HTTP side: sessions, credentials, recording, faults.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::response::Response;
use axum::routing::any;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};
use tokio_util::sync::CancellationToken;

use super::fault::{Fault, text};
use super::script::{Message, Script};
use super::{Recorded, Shared};

const SESSION_ID: &str = "mcp-session-id";

pub(super) fn router(shared: Arc<Shared>, stop: CancellationToken) -> Router {
    let endpoint = any(move |method: Method, headers: HeaderMap, body: Bytes| {
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        async move { handle(&shared, &stop, method, headers, &body).await }
    });
    Router::new().route("/mcp", endpoint).layer(DefaultBodyLimit::disable())
}

async fn handle(
    shared: &Shared,
    stop: &CancellationToken,
    http_method: Method,
    headers: HeaderMap,
    body: &[u8],
) -> Response {
    let message = if http_method == Method::POST {
        match serde_json::from_slice::<Message>(body) {
            Ok(message) => Some(message),
            Err(_) => return refuse(400),
        }
    } else {
        None
    };
    let method = match &message {
        Some(message) => message.method.clone().unwrap_or_else(|| "(response)".to_owned()),
        None => format!("({http_method})"),
    };
    // Asked for before the request shows up in the records: a test that saw it may release it.
    let mut releases = shared.releases.subscribe();
    record(shared, &method, &headers, message.as_ref());
    if !is_authorized(shared, &headers) {
        return refuse(401);
    }
    let fault = shared.script.lock().unwrap().take_fault(&method);
    let id = message.as_ref().and_then(|message| message.id.as_ref()).map_or("null", |id| id.get());
    match fault {
        Some(Fault::Hang) => {
            tokio::select! {
                _ = releases.changed() => {}
                () = stop.cancelled() => return refuse(503),
            }
        }
        Some(Fault::Delay(time)) => delay(time, stop).await,
        Some(fault) => {
            if let Some(response) = fault.response(id) {
                return response;
            }
        }
        None => {}
    }
    let mut script = shared.script.lock().unwrap();
    if let Some(status) = session_problem(&script, &method, &headers) {
        return refuse(status);
    }
    match message {
        Some(Message { id: Some(_), method: Some(_), .. }) if method == "initialize" => {
            let session = script.stateful.then(|| script.open_session());
            reply(&script, id, &method, params_of(message.as_ref()), session)
        }
        Some(Message { id: Some(_), method: Some(_), .. }) => {
            reply(&script, id, &method, params_of(message.as_ref()), None)
        }
        Some(_) => Response::builder().status(202).body(axum::body::Body::empty()).unwrap(),
        None if http_method == Method::DELETE => {
            if let Some(session) = headers.get(SESSION_ID).and_then(|value| value.to_str().ok()) {
                script.sessions.remove(session);
            }
            text(200, "application/json", "{}".to_owned())
        }
        None => refuse(405),
    }
}

fn record(shared: &Shared, method: &str, headers: &HeaderMap, message: Option<&Message>) {
    let recorded = Recorded {
        method: method.to_owned(),
        headers: headers.clone(),
        params: params_of(message).to_owned(),
    };
    shared.requests.send_modify(|requests| requests.push(recorded));
}

fn params_of(message: Option<&Message>) -> &str {
    message.map_or("null", Message::params)
}

fn is_authorized(shared: &Shared, headers: &HeaderMap) -> bool {
    let script = shared.script.lock().unwrap();
    let Some(token) = &script.token else { return true };
    headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes() == format!("Bearer {token}").as_bytes())
}

fn session_problem(script: &Script, method: &str, headers: &HeaderMap) -> Option<u16> {
    if !script.stateful || method == "initialize" {
        return None;
    }
    match headers.get(SESSION_ID).and_then(|value| value.to_str().ok()) {
        None => Some(400),
        Some(id) if !script.sessions.contains(id) => Some(404),
        Some(_) => None,
    }
}

fn reply(script: &Script, id: &str, method: &str, params: &str, session: Option<String>) -> Response {
    let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},{}}}"#, script.answer(method, params));
    let mut response = if script.sse {
        text(200, "text/event-stream", format!("{}event: message\ndata: {answer}\n\n", script.preamble))
    } else {
        text(200, "application/json", answer)
    };
    if let Some(session) = session {
        response.headers_mut().insert(SESSION_ID, HeaderValue::try_from(session).unwrap());
    }
    response
}

async fn delay(time: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = stop.cancelled() => {}
    }
}

fn refuse(status: u16) -> Response {
    text(status, "application/json", r#"{"error":"refused"}"#.to_owned())
}
