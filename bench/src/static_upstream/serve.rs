//! HTTP and the methods of MCP.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::answers::{Answers, SLOW_SECONDS, SOON_MILLIS};
use super::catalog::Callable;
use super::held::{Held, Silence};
use super::{ANSWER_MARK, Era};

const SESSION: &str = "mcp-session-id";
const METHOD_NOT_FOUND: &str = r#""error":{"code":-32601,"message":"method not found"}"#;

/// What connections share.
#[derive(Debug)]
struct Shared {
    answers: Answers,
    requests: AtomicU64,
    sessions: AtomicU64,
    held: Arc<Held>,
}

type Answer = Response<Either<Full<Bytes>, Silence>>;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Option<Params<'a>>,
}

#[derive(Default, Deserialize)]
struct Params<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default, rename = "protocolVersion")]
    protocol_version: Option<&'a RawValue>,
    /// Of calls.
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
    /// Of cancellations.
    #[serde(borrow, default, rename = "requestId")]
    request_id: Option<&'a RawValue>,
}

/// The arguments of every tool to call.
#[derive(Default, Deserialize)]
struct Arguments {
    text: String,
}

/// Serves until it is ended; says first where.
pub(crate) async fn run() -> anyhow::Result<()> {
    let shared = Arc::new(Shared {
        answers: Answers::new()?,
        requests: AtomicU64::default(),
        sessions: AtomicU64::default(),
        held: Arc::default(),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move { Ok::<_, Infallible>(serve(&shared, request).await) }
        });
        let connection =
            http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
        // Whoever breaks off has what it wanted.
        connections.spawn(async move { drop(connection.await) });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(shared: &Shared, request: Request<Incoming>) -> Answer {
    if request.method() == Method::GET
        && let Some(answer) = tell(shared, request.uri().path()).await
    {
        return answer;
    }
    shared.requests.fetch_add(1, Ordering::Relaxed);
    let (parts, body) = request.into_parts();
    let mut path = parts.uri.path().split('/').skip(1);
    let (era, catalog) = (path.next().and_then(Era::parse), path.next());
    let (Some(era), Some(catalog)) = (era, catalog) else { return status(StatusCode::NOT_FOUND) };
    if parts.method == Method::DELETE && era == Era::Sessions {
        return status(StatusCode::OK);
    }
    if parts.method != Method::POST {
        return status(StatusCode::METHOD_NOT_ALLOWED);
    }
    let Ok(body) = body.collect().await else { return status(StatusCode::BAD_REQUEST) };
    let body = body.to_bytes();
    let Ok(message) = serde_json::from_slice::<Message<'_>>(&body) else {
        return status(StatusCode::BAD_REQUEST);
    };
    if era == Era::Sessions && message.method != "initialize" && !parts.headers.contains_key(SESSION) {
        return status(StatusCode::BAD_REQUEST);
    }
    answer(shared, era, catalog, message).await
}

/// What the benchmark itself asks.
async fn tell(shared: &Shared, path: &str) -> Option<Answer> {
    if path == "/count" {
        return Some(json(format!(r#"{{"requests":{}}}"#, shared.requests.load(Ordering::Relaxed))));
    }
    if let Some(name) = path.strip_prefix("/arrived/") {
        shared.held.arrived(name).await;
        return Some(status(StatusCode::OK));
    }
    let (at, how) = shared.held.canceled(path.strip_prefix("/canceled/")?).await;
    Some(json(format!(r#"{{"at":{at},"how":"{how}"}}"#)))
}

async fn answer(shared: &Shared, era: Era, catalog: &str, message: Message<'_>) -> Answer {
    let Message { id, method, params } = message;
    let Some(id) = id else {
        if let Some(request) = params.and_then(|params| params.request_id) {
            shared.held.cancel(request.get());
        }
        return status(StatusCode::ACCEPTED);
    };
    let result = match (&*method, era) {
        ("tools/call", _) => {
            let params = params.unwrap_or_default();
            match Callable::of(&params.name) {
                Callable::Soon => tokio::time::sleep(Duration::from_millis(SOON_MILLIS)).await,
                Callable::Slow => tokio::time::sleep(Duration::from_secs(SLOW_SECONDS)).await,
                Callable::Held | Callable::HeldStream => return hold(shared, id, &params).await,
                Callable::Small | Callable::Large => {}
            }
            Some(shared.answers.call(era, &params.name))
        }
        ("tools/list", _) => shared.answers.list(era, catalog),
        ("server/discover", Era::Stateless) => Some(shared.answers.discovery()),
        ("initialize", Era::Handshake | Era::Sessions) => return introduction(shared, era, id, params),
        _ => None,
    };
    if let Some(result) = result {
        let head = format!(r#"{{"jsonrpc":"2.0","id":{},"result":"#, id.get());
        return json([head.as_bytes(), result, b"}"].concat());
    }
    let mut refusal = json(format!(r#"{{"jsonrpc":"2.0","id":{},{METHOD_NOT_FOUND}}}"#, id.get()));
    if era == Era::Stateless {
        *refusal.status_mut() = StatusCode::NOT_FOUND;
    }
    refusal
}

/// Keeps a caller waiting until it gives up.
async fn hold(shared: &Shared, id: &RawValue, params: &Params<'_>) -> Answer {
    let arguments = params.arguments.and_then(|arguments| serde_json::from_str(arguments.get()).ok());
    let Arguments { text } = arguments.unwrap_or_default();
    let guard = shared.held.hold(&text, id.get());
    if Callable::of(&params.name) == Callable::Held {
        std::future::pending::<()>().await;
    }
    let mut answer = Response::new(Either::Right(Silence::new(guard)));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    answer
}

fn introduction(shared: &Shared, era: Era, id: &RawValue, params: Option<Params<'_>>) -> Answer {
    let asked = params.and_then(|params| params.protocol_version).map(RawValue::get);
    let (id, version) = (id.get(), asked.unwrap_or(r#""2025-06-18""#));
    let mut answer = json(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"protocolVersion":{version},"capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"{ANSWER_MARK}","version":"1"}}}}}}"#
    ));
    if era == Era::Sessions {
        let number = shared.sessions.fetch_add(1, Ordering::Relaxed);
        answer.headers_mut().insert(SESSION, HeaderValue::from(number));
    }
    answer
}

fn json(body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn status(status: StatusCode) -> Answer {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = status;
    response
}
