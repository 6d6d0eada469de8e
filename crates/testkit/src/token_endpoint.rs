//! An OAuth token endpoint that gives tokens for client credentials, and misbehaves on demand.
//!
//! Tokens are numbered in the order in which they are given: `token-1`, `token-2`, …. Stops when dropped.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the endpoint answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A token, with this as `expires_in`; absent leaves it out. Refused where the client is not the right one.
    Token(Option<u64>),
    /// This status and body, whoever asks.
    Raw(u16, String),
    /// A redirect to this address.
    Redirect(String),
    /// Nothing, until something else is to be answered.
    Hang,
    /// A body without end.
    Endless,
}

/// A request that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The header `authorization`, decoded where it is HTTP Basic.
    pub authorization: Option<String>,
    /// The form, as it was sent.
    pub form: String,
}

/// A running endpoint.
#[derive(Debug)]
pub struct TokenEndpoint {
    address: SocketAddr,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    secret: Mutex<String>,
    answer: watch::Sender<Answer>,
    asked: watch::Sender<Vec<Asked>>,
    given: watch::Sender<usize>,
}

impl TokenEndpoint {
    /// Listens on a free port of the loopback interface, for clients that know this secret.
    pub async fn start(secret: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let shared = Arc::new(Shared {
            secret: Mutex::new(secret.to_owned()),
            answer: watch::Sender::new(Answer::Token(Some(3600))),
            asked: watch::Sender::default(),
            given: watch::Sender::default(),
        });
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/token", post(answer)).with_state(Arc::clone(&shared));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, shared, _serving: serving }
    }

    /// Where tokens are asked for.
    pub fn url(&self) -> String {
        format!("http://{}/token", self.address)
    }

    /// Answers otherwise from now on, those that hang included.
    pub fn answer(&self, answer: Answer) {
        self.shared.answer.send_replace(answer);
    }

    /// Lets nobody in but who knows this secret.
    pub fn set_secret(&self, secret: &str) {
        secret.clone_into(&mut self.shared.secret.lock().unwrap());
    }

    /// Everything that arrived.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.borrow().clone()
    }

    /// Waits until it was asked that many times.
    pub async fn wait_for(&self, times: usize) {
        self.shared.asked.subscribe().wait_for(|asked| asked.len() >= times).await.unwrap();
    }

    /// How many tokens were given.
    pub fn given(&self) -> usize {
        *self.shared.given.borrow()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let asked = Asked {
        authorization: headers.get(header::AUTHORIZATION).map(|value| decoded(value.to_str().unwrap())),
        form: String::from_utf8(body.to_vec()).unwrap(),
    };
    shared.asked.send_modify(|all| all.push(asked.clone()));
    let mut answers = shared.answer.subscribe();
    let answer = answers.wait_for(|answer| *answer != Answer::Hang).await.unwrap().clone();
    let json = |status: u16, body: String| {
        Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .unwrap()
    };
    match answer {
        Answer::Token(_) if !knows(&asked, &shared.secret.lock().unwrap()) => {
            json(401, r#"{"error":"invalid_client","error_description":"hostile words"}"#.to_owned())
        }
        Answer::Token(life) => {
            let mut number = 0;
            shared.given.send_modify(|given| {
                *given += 1;
                number = *given;
            });
            let life = life.map(|life| format!(",\"expires_in\":{life}")).unwrap_or_default();
            json(200, format!(r#"{{"access_token":"token-{number}","token_type":"Bearer"{life}}}"#))
        }
        Answer::Raw(status, body) => json(status, body),
        Answer::Redirect(to) => {
            Response::builder().status(307).header(header::LOCATION, to).body(Body::empty()).unwrap()
        }
        Answer::Endless | Answer::Hang => {
            let piece = Ok::<_, std::convert::Infallible>(Bytes::from_static(&[b' '; 1024]));
            Response::new(Body::from_stream(futures::stream::repeat(piece)))
        }
    }
}

fn knows(asked: &Asked, secret: &str) -> bool {
    let by_header = asked.authorization.as_deref().is_some_and(|pair| pair.ends_with(&format!(":{secret}")));
    by_header || asked.form.split('&').any(|pair| pair == format!("client_secret={secret}"))
}

fn decoded(value: &str) -> String {
    match value.strip_prefix("Basic ") {
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap(),
        None => value.to_owned(),
    }
}
