//! One connection: opened, introduced where that is wanted, and driven until the run ends.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use futures::FutureExt as _;
use futures::future::{BoxFuture, Fuse, FusedFuture as _};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use memchr::memmem::Finder;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::pace::{Pace, Start};
use super::plan::{Plan, Prepared};
use super::tally::Outcome;
use super::{Shared, Window};

/// How a tool says that it failed.
const FAILED: &str = r#""isError":true"#;
const SESSION: &str = "mcp-session-id";
/// As much of a wrong answer as is shown.
const SHOWN: usize = 400;

type Body = Full<Bytes>;

/// A connection that can be used.
pub(super) struct Connection {
    sender: SendRequest<Body>,
    /// Moves the bytes, whenever somebody waits for them: a task of its own would cost a change of tasks per request.
    transport: Transport,
    session: Option<HeaderValue>,
}

type Transport = Fuse<BoxFuture<'static, ()>>;

impl Connection {
    /// Connects, and introduces itself where the plan wants it.
    pub(super) async fn open(plan: &Plan) -> anyhow::Result<Self> {
        let (authority, _) = split(&plan.url)?;
        let stream = TcpStream::connect(authority).await?;
        stream.set_nodelay(true)?;
        let (sender, transport) = http1::handshake(TokioIo::new(stream)).await?;
        // How a connection ended is seen by whoever sends on it.
        let transport = transport.map(drop).boxed().fuse();
        let mut connection = Self { sender, transport, session: None };
        if plan.handshake {
            connection.introduce(plan).await?;
        }
        Ok(connection)
    }

    async fn introduce(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let (status, session, _) = self.exchange(request(plan, &said(INITIALIZE))?).await?;
        ensure!(status == StatusCode::OK, "`initialize` is answered {status}");
        self.session = session;
        let mut confirmation = request(plan, &said(INITIALIZED))?;
        self.put_session(&mut confirmation);
        let (status, ..) = self.exchange(confirmation).await?;
        ensure!(status.is_success(), "`notifications/initialized` is answered {status}");
        Ok(())
    }

    fn put_session(&self, request: &mut Request<Body>) {
        if let Some(session) = &self.session {
            request.headers_mut().insert(SESSION, session.clone());
        }
    }

    /// Sends a request and reads the answer.
    async fn exchange(
        &mut self,
        request: Request<Body>,
    ) -> hyper::Result<(StatusCode, Option<HeaderValue>, Bytes)> {
        let Self { sender, transport, session: _ } = self;
        let work = async {
            sender.ready().await?;
            let answer = sender.send_request(request).await?;
            let (status, session) = (answer.status(), answer.headers().get(SESSION).cloned());
            Ok((status, session, answer.into_body().collect().await?.to_bytes()))
        };
        tokio::pin!(work);
        loop {
            // The transport comes first: it knows whether the other side has ended the connection.
            tokio::select! {
                biased;
                () = &mut *transport, if !transport.is_terminated() => {}
                outcome = &mut work => return outcome,
            }
        }
    }

    /// Sends what the plan says, for as long as it says; opens anew where the other side ends the connection.
    pub(super) async fn drive(mut self, shared: &Shared, number: usize) {
        let window = match shared.window.subscribe().wait_for(Option::is_some).await {
            Ok(window) => *window,
            Err(_) => None,
        };
        let Some(window) = window else { return };
        if let Err(error) = self.drive_through(shared, number, &window).await {
            // It ends here: every later failure would be a consequence of this one.
            note(shared, &window, Start { due: Instant::now(), late: None }, Err(format!("{error:#}")));
        }
    }

    async fn drive_through(&mut self, shared: &Shared, number: usize, window: &Window) -> anyhow::Result<()> {
        let plan = &shared.plan;
        let mut requests = self.requests(plan)?;
        let expected = (Finder::new(&plan.expect), Finder::new(FAILED));
        let mut pace = Pace::new(plan.rate, plan.connections, number, window.opens)?;
        let mut turn = number;
        while Instant::now() < window.ends {
            let start = pace.next().await?;
            let at = turn % requests.len();
            turn += 1;
            let next = requests.get(at).context("a request")?.clone();
            let mut outcome = self.exchange(next).await;
            if outcome.as_ref().is_err_and(|error| error.is_canceled() || error.is_closed()) {
                // It is the other side's right to end a connection between two requests.
                *self = Self::open(plan).await?;
                requests = self.requests(plan)?;
                outcome = self.exchange(requests.get(at).context("a request")?.clone()).await;
            }
            let answer = match outcome {
                Ok((status, _, body)) => match problem(status, &body, &expected) {
                    None => Ok(body.len()),
                    Some(problem) => Err(problem),
                },
                Err(error) => Err(format!("{error:?}")),
            };
            note(shared, window, start, answer);
        }
        Ok(())
    }

    /// The requests of the plan, complete.
    fn requests(&self, plan: &Plan) -> anyhow::Result<Vec<Request<Body>>> {
        let complete = |prepared| {
            let mut request = request(plan, prepared)?;
            self.put_session(&mut request);
            Ok(request)
        };
        plan.requests.iter().map(complete).collect()
    }
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

fn said(body: &str) -> Prepared {
    Prepared { headers: BTreeMap::new(), body: body.to_owned() }
}

fn request(plan: &Plan, prepared: &Prepared) -> anyhow::Result<Request<Body>> {
    let (authority, path) = split(&plan.url)?;
    let mut request = Request::post(path)
        .header(HOST, authority)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream");
    for (name, value) in plan.headers.iter().chain(&prepared.headers) {
        request = request.header(name, value);
    }
    Ok(request.body(Full::new(Bytes::from(prepared.body.clone())))?)
}

/// Address and path.
fn split(url: &str) -> anyhow::Result<(&str, &str)> {
    let rest = url.strip_prefix("http://").context("not an http url")?;
    match rest.find('/') {
        Some(at) => Ok(rest.split_at(at)),
        None => bail!("a url without a path"),
    }
}

/// Why an answer is not the one that was expected.
fn problem(status: StatusCode, body: &[u8], expected: &(Finder<'_>, Finder<'_>)) -> Option<String> {
    let is_right =
        status == StatusCode::OK && expected.0.find(body).is_some() && expected.1.find(body).is_none();
    (!is_right).then(|| {
        let start = body.get(..SHOWN).unwrap_or(body);
        format!("status {status}: {}", String::from_utf8_lossy(start))
    })
}

fn note(shared: &Shared, window: &Window, start: Start, answer: Result<usize, String>) {
    let outcome = Outcome { latency: start.due.elapsed(), late: start.late, answer };
    if let Ok(mut tally) = shared.tally.lock() {
        tally.count(window, outcome);
        if shared.plan.calls.is_some_and(|calls| tally.calls() >= calls) {
            shared.enough.notify_one();
        }
    }
}
