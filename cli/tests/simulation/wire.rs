//! Listens to what is said on the streams of one control plane, as bytes that come in and go out.
//!
//! Owns the invariants of a single stream. It changes nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use prost::Message as _;
use tonic::body::Body;
use toolplane_control_plane::snapshots;
use toolplane_proto::decode;
use toolplane_proto::sync::{
    Ack, Hello, Nack, SubscribeRequest, SubscribeResponse, Update, subscribe_request, subscribe_response,
};
use toolplane_registry::{Digest, Version};
use tower::Service;

use crate::ledger;
use crate::world::World;

/// Listens at one control plane. Clones share what they know of nothing: each stream stands for itself.
#[derive(Debug, Clone)]
pub(crate) struct Tap {
    /// Takes notes.
    pub(crate) world: World,
    /// The name of the control plane.
    pub(crate) place: String,
    /// What it has published.
    pub(crate) published: snapshots::Handle,
}

/// A server with a tap on it.
#[derive(Debug, Clone)]
pub(crate) struct Tapped<S> {
    server: S,
    tap: Tap,
}

/// What was said on one stream.
#[derive(Debug)]
struct Conversation {
    tap: Tap,
    node: String,
    heard: usize,
    sent: BTreeMap<String, (Version, Digest)>,
    /// The newest state when the node last said something: nothing older may be sent any more.
    floor: Version,
}

/// Puts messages together from the pieces that they travel in.
#[derive(Debug, Default)]
struct Messages(Vec<u8>);

impl Tap {
    /// Puts the tap on a server.
    pub(crate) fn on<S>(self, server: S) -> Tapped<S> {
        Tapped { server, tap: self }
    }
}

impl<S> Service<Request<Body>> for Tapped<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = futures::future::BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.server.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let conversation = Arc::new(Mutex::new(Conversation {
            tap: self.tap.clone(),
            node: String::new(),
            heard: 0,
            sent: BTreeMap::new(),
            floor: Version::none(),
        }));
        let incoming = Arc::clone(&conversation);
        let request = request.map(|body| {
            listen(body, move |message| {
                let message = SubscribeRequest::decode(message).expect("a message of a node");
                incoming.lock().unwrap_or_else(PoisonError::into_inner).hears(message);
            })
        });
        let answered = self.server.call(request);
        Box::pin(async move {
            Ok(answered.await?.map(|body| {
                listen(body, move |message| {
                    let message = SubscribeResponse::decode(message).expect("a message of a control plane");
                    conversation.lock().unwrap_or_else(PoisonError::into_inner).says(message);
                })
            }))
        })
    }
}

fn listen(body: Body, mut hear: impl FnMut(&[u8]) + Send + 'static) -> Body {
    let mut messages = Messages::default();
    Body::new(body.map_frame(move |frame| {
        if let Some(data) = frame.data_ref() {
            messages.feed(data, &mut hear);
        }
        frame
    }))
}

impl Messages {
    /// A message is a flag, its length in four bytes, and its content.
    fn feed(&mut self, data: &Bytes, hear: &mut impl FnMut(&[u8])) {
        self.0.extend_from_slice(data);
        while let Some((head, rest)) = self.0.split_first_chunk::<5>() {
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let Some(message) = rest.get(..length) else { break };
            hear(message);
            self.0.drain(..5 + length);
        }
    }
}

impl Conversation {
    fn hears(&mut self, message: SubscribeRequest) {
        self.heard += 1;
        self.floor = self.tap.published.current().version().clone();
        match message.message.expect("of a kind that is known") {
            subscribe_request::Message::Hello(Hello { node_id, held, .. }) => {
                let held = held.map(Version::from).unwrap_or_default();
                self.note(&format!("<- {node_id} Hello, holds {}", ledger::name(&held)));
                self.node = node_id;
            }
            subscribe_request::Message::Ack(Ack { nonce, version, persisted }) => {
                let version = version.map(Version::from).unwrap_or_default();
                let (node, name) = (&self.node, ledger::name(&version));
                self.note(&format!("<- {node} Ack {nonce} of {name}, persisted: {persisted}"));
                let sent = self.sent.get(&nonce);
                let is_true = sent.is_some_and(|(sent, digest)| {
                    *sent == version && self.tap.world.lock().ledger.has_served(node, sent, *digest)
                });
                self.check(is_true, || format!("`{node}` confirmed {name}, which it never served"));
            }
            subscribe_request::Message::Nack(Nack { nonce, rejections, .. }) => {
                self.note(&format!("<- {} Nack {nonce}: {rejections:?}", self.node));
            }
        }
    }

    fn says(&mut self, message: SubscribeResponse) {
        let subscribe_response::Message::Update(update) = message.message.expect("of a kind that is known");
        let Update { nonce, version, full, changed, removed, digest, .. } = update;
        let version = version.map(Version::from).unwrap_or_default();
        let (node, name) = (self.node.clone(), ledger::name(&version));
        let (kind, changed, removed) = (if full { "all" } else { "changes" }, changed.len(), removed.len());
        self.note(&format!("-> {node} Update {nonce} to {name}, {kind}: +{changed} -{removed}"));
        self.sent.insert(nonce, (version.clone(), decode::digest("digest", &digest).expect("a digest")));
        let (sent, heard) = (self.sent.len(), self.heard);
        self.check(sent <= heard, || format!("`{node}` was sent {sent} updates and had answered {heard}"));
        let floor = &self.floor;
        let is_newest = version.store_id() != floor.store_id() || version.number() >= floor.number();
        self.check(is_newest, || format!("`{node}` was sent {name}, when {} was out", ledger::name(floor)));
    }

    fn note(&self, what: &str) {
        self.tap.world.note(&self.tap.place, what);
    }

    fn check(&self, holds: bool, otherwise: impl FnOnce() -> String) {
        self.tap.world.check(if holds { Ok(()) } else { Err(otherwise()) });
    }
}
