//! The HTTP side: sessions, credentials, recording, faults.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::DefaultBodyLimit;
use axum::response::Response;
use axum::routing::any;
use futures::StreamExt as _;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Version};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::fault::{Fault, in_pieces, text};
use super::script::{Era, Message, Script};
use super::{Awaited, Recorded, Shared, stateless};

const SESSION_ID: &str = "mcp-session-id";

pub(super) fn router(shared: Arc<Shared>, stop: CancellationToken) -> Router {
    let endpoint = any(move |method: Method, version: Version, headers: HeaderMap, body: Bytes| {
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        async move { handle(&shared, &stop, (method, version), headers, &body).await }
    });
    Router::new().route("/mcp", endpoint).layer(DefaultBodyLimit::disable())
}

async fn handle(
    shared: &Arc<Shared>,
    stop: &CancellationToken,
    (http_method, version): (Method, Version),
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
    let method = method_of(&http_method, message.as_ref());
    // Asked for before the request shows up in the records: a test that saw it may release it.
    let mut releases = shared.releases.subscribe();
    record(shared, &method, version, &headers, message.as_ref());
    let awaited = Awaited::new(shared);
    let holds = shared.script.lock().unwrap().is_due(&method, |fault| matches!(fault, Fault::HoldReply));
    let mut response = respond(shared, stop, &mut releases, http_method, &headers, message.as_ref()).await;
    if holds {
        response = held(response, releases, awaited).await;
    } else {
        awaited.answered();
    }
    response
}

/// The same reply in two parts: the last event follows once released.
async fn held(response: Response, mut releases: watch::Receiver<u64>, awaited: Awaited) -> Response {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(http::header::CONTENT_LENGTH);
    let mut first = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let text = std::str::from_utf8(&first).unwrap();
    let last = first.split_off(text.rfind("event: message").unwrap());
    let last = async move {
        releases.changed().await.unwrap();
        awaited.answered();
        last
    };
    let pieces = futures::stream::iter([first]).chain(futures::stream::once(last));
    Response::from_parts(parts, Body::from_stream(pieces.map(Ok::<_, std::io::Error>)))
}

async fn respond(
    shared: &Shared,
    stop: &CancellationToken,
    releases: &mut watch::Receiver<u64>,
    http_method: Method,
    headers: &HeaderMap,
    message: Option<&Message>,
) -> Response {
    let method = &method_of(&http_method, message);
    if !is_authorized(shared, headers) {
        return refuse(401);
    }
    let fault = shared.script.lock().unwrap().take_fault(method);
    let id = message.and_then(|message| message.id.as_ref()).map_or("null", |id| id.get());
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
    answer(&mut script, &http_method, method, headers, message)
}

/// The proper answer, in the revisions that the upstream speaks.
fn answer(
    script: &mut Script,
    http_method: &Method,
    method: &str,
    headers: &HeaderMap,
    message: Option<&Message>,
) -> Response {
    let id = message.and_then(|message| message.id.as_ref()).map_or("null", |id| id.get());
    if script.era == Era::OldTransport {
        return if *http_method == Method::GET { stateless::old_stream() } else { refuse(405) };
    }
    let says_stateless = stateless::is_named(headers);
    if script.era == Era::Stateless || (script.era == Era::Both && says_stateless) {
        if message.is_none() {
            return refuse(405);
        }
        let problem = stateless::problem(method, id, params_of(message), headers);
        return problem.unwrap_or_else(|| reply(script, id, method, params_of(message), Issued::No("")));
    }
    if says_stateless {
        return refuse(400);
    }
    if let Some(status) = session_problem(script, method, headers) {
        return refuse(status);
    }
    match message {
        Some(Message { id: Some(_), method: Some(_), .. }) if method == "initialize" => {
            let session = script.stateful.then(|| script.open_session());
            let issued = session.map_or(Issued::No(""), Issued::Yes);
            reply(script, id, method, params_of(message), issued)
        }
        Some(Message { id: Some(_), method: Some(_), .. }) => {
            let session = headers.get(SESSION_ID).and_then(|value| value.to_str().ok()).unwrap_or_default();
            reply(script, id, method, params_of(message), Issued::No(session))
        }
        Some(_) => Response::builder().status(202).body(Body::empty()).unwrap(),
        None if *http_method == Method::DELETE => {
            if let Some(session) = headers.get(SESSION_ID).and_then(|value| value.to_str().ok()) {
                script.sessions.remove(session);
            }
            text(200, "application/json", "{}".to_owned())
        }
        None => refuse(405),
    }
}

fn method_of(http_method: &Method, message: Option<&Message>) -> String {
    match message {
        Some(message) => message.method.clone().unwrap_or_else(|| "(response)".to_owned()),
        None => format!("({http_method})"),
    }
}

fn record(shared: &Shared, method: &str, version: Version, headers: &HeaderMap, message: Option<&Message>) {
    let recorded = Recorded {
        method: method.to_owned(),
        headers: headers.clone(),
        http: version,
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

/// The session of a reply.
enum Issued<'a> {
    /// It is new.
    Yes(String),
    /// It is the request's own, if it has one.
    No(&'a str),
}

fn reply(script: &mut Script, id: &str, method: &str, params: &str, issued: Issued<'_>) -> Response {
    let session = match &issued {
        Issued::Yes(session) => session.as_str(),
        Issued::No(session) => session,
    };
    let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},{}}}"#, script.answer(method, params, session));
    let (kind, body) = if script.sse {
        ("text/event-stream", format!("{}event: message\ndata: {answer}\n\n", script.preamble(params)))
    } else {
        ("application/json", answer)
    };
    let mut response =
        if script.pieces.is_empty() { text(200, kind, body) } else { in_pieces(kind, body, &script.pieces) };
    if let Issued::Yes(session) = issued {
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
