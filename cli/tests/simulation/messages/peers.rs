//! A control plane and a node without anything around them, and the messages on their way.

use std::sync::Arc;

use tonic::{Code, Status};
use toolplane_control_plane::snapshots::Published;
use toolplane_control_plane::store::Registry;
use toolplane_control_plane::stream::session::{Action, Session};
use toolplane_data_plane::test_util::Stream;
use toolplane_proto::sync::{
    Ack, HeldDomain, Hello, Nack, SubscribeRequest, Update, subscribe_request::Message,
};
use toolplane_registry::{Snapshot, Version};

use crate::ledger::{self, Ledger};
use crate::registries::{self, Generator};
use crate::seeds;

const NODE: &str = "node";

/// A message on its way.
#[derive(Debug, Clone)]
pub(crate) enum Mail {
    ToNode(Update),
    ToControl(SubscribeRequest),
}

/// Both sides of one stream after the other.
#[derive(Debug)]
pub(crate) struct Peers {
    /// In the order sent.
    pub(crate) mail: Vec<Mail>,
    /// Messages are not what the other side said: then a confirmation proves nothing.
    hostile: bool,
    generator: Generator,
    newest: Arc<Published>,
    ledger: Ledger,
    stores: u32,
    held: Arc<Snapshot>,
    node: Stream,
    control: Session,
    streams: usize,
    /// The nonce of the update that is not answered.
    unanswered: Option<String>,
    story: Vec<String>,
}

impl Peers {
    /// Peers at the first version, about to open the first stream.
    pub(crate) fn new(seed: u64, hostile: bool) -> Self {
        let newest = registries::publish(registries::nothing("store-1"), None);
        let held = Arc::new(
            toolplane_registry::snapshot::Builder::new(Version::none()).build().expect("nothing is sound"),
        );
        let mut ledger = Ledger::default();
        ledger.published(newest.version(), newest.snapshot.digest());
        let mut peers = Self {
            mail: Vec::new(),
            hostile,
            generator: Generator::new(seeds::source(seed, "registries", 0), 8),
            newest,
            ledger,
            stores: 1,
            control: Session::open(&hello(&held)).expect("a Hello"),
            held,
            node: Stream::default(),
            streams: 0,
            unanswered: None,
            story: Vec::new(),
        };
        peers.reconnect(false);
        peers
    }

    /// What the node serves.
    pub(crate) fn held(&self) -> &Snapshot {
        &self.held
    }

    /// How many streams there have been.
    pub(crate) fn streams(&self) -> usize {
        self.streams
    }

    /// What happened.
    pub(crate) fn story(&self) -> String {
        self.story.join("\n")
    }

    /// The registry changes.
    pub(crate) fn publish(&mut self) {
        let registry = self.newest.registry.clone();
        self.commit(registry);
    }

    /// The history of the store was lost.
    pub(crate) fn renew(&mut self) {
        self.stores += 1;
        let mut registry = self.newest.registry.clone();
        registry.head.store_id = format!("store-{}", self.stores);
        self.commit(registry);
    }

    fn commit(&mut self, mut registry: Registry) {
        self.generator.change(&mut registry.upstreams);
        registry.head.number += 1;
        self.newest = registries::publish(registry, Some(&self.newest));
        self.ledger.published(self.newest.version(), self.newest.snapshot.digest());
        self.story.push(format!("published {}", ledger::name(self.newest.version())));
        let action = self.control.newer(Arc::clone(&self.newest.snapshot));
        self.perform(action);
    }

    /// The stream ends, and the node opens the next one.
    pub(crate) fn reconnect(&mut self, keep_mail: bool) {
        if !keep_mail {
            self.mail.clear();
        }
        self.streams += 1;
        self.unanswered = None;
        self.node = Stream::default();
        self.control = Session::open(&hello(&self.held)).expect("a Hello");
        self.story.push(format!("stream {} opens with {}", self.streams, ledger::name(self.held.version())));
        let action = self.control.newer(Arc::clone(&self.newest.snapshot));
        self.perform(action);
    }

    /// Delivers everything in the order sent, until nothing is on its way.
    pub(crate) fn settle(&mut self) {
        for _ in 0..1_000 {
            if self.mail.is_empty() {
                return;
            }
            let mail = self.mail.remove(0);
            self.arrive(mail);
        }
        panic!("the peers go on talking:\n{}", self.story());
    }

    /// The node serves the newest version.
    pub(crate) fn expect_newest(&self) {
        let (held, newest) = (&self.held, &self.newest);
        let is_newest = held.version() == newest.version() && held.digest() == newest.snapshot.digest();
        let (held, newest) = (ledger::name(held.version()), ledger::name(newest.version()));
        assert!(is_newest, "{}\nthe node serves {held}, and {newest} is the newest", self.story());
    }

    /// A message arrives where it is meant for.
    pub(crate) fn arrive(&mut self, mail: Mail) {
        match mail {
            Mail::ToNode(update) => self.take(update),
            Mail::ToControl(request) => {
                self.story.push(format!("-> {:?}", request.message));
                if self.unanswered.is_some() && nonce(&request) == self.unanswered.as_deref() {
                    self.unanswered = None;
                }
                match self.control.received(request) {
                    Ok(action) => self.perform(action),
                    Err(status) => self.end(&status),
                }
            }
        }
    }

    /// What a node does with an update.
    fn take(&mut self, update: Update) {
        let nonce = update.nonce.clone();
        let answer = match self.node.take(&self.held, update) {
            Ok(served) => {
                let served = served.snapshot().clone();
                self.story.push(format!("the node serves {}", ledger::name(served.version())));
                let before = self.held.version();
                let outcome = self.ledger.serves(NODE, Some(before), served.version(), served.digest());
                outcome.unwrap_or_else(|wrong| panic!("{}\n{wrong}", self.story()));
                self.held = Arc::new(served);
                let version = Some(self.held.version().into());
                Message::Ack(Ack { nonce, version, persisted: true })
            }
            Err(rejections) => {
                let rejections = rejections.iter().map(Into::into).collect();
                Message::Nack(Nack { nonce, held: Some(self.held.version().into()), rejections })
            }
        };
        self.mail.push(Mail::ToControl(SubscribeRequest { message: Some(answer) }));
    }

    fn perform(&mut self, action: Action) {
        let update = match action {
            Action::Nothing => None,
            Action::Send(update) => Some(update),
            Action::Acked { version, digest, next, .. } => {
                let is_true = self.ledger.has_served(NODE, &version, digest);
                let name = ledger::name(&version);
                assert!(self.hostile || is_true, "{}\n{name} was never served", self.story());
                next
            }
            Action::Nacked { next, .. } => next,
        };
        let Some(update) = update.map(|update| update.message()) else { return };
        let version = update.version.clone().map(Version::from).unwrap_or_default();
        let name = ledger::name(&version);
        let kind = if update.full { "all" } else { "changes" };
        self.story.push(format!("<- Update {} to {name}, {kind}", update.nonce));
        let before = self.unanswered.replace(update.nonce.clone());
        assert_eq!(before, None, "{}\ntwo updates are unanswered", self.story());
        assert_eq!(&version, self.newest.version(), "{}\nsomething outdated was sent", self.story());
        self.mail.push(Mail::ToNode(update));
    }

    fn end(&mut self, status: &Status) {
        self.story.push(format!("the stream ends: {status}"));
        let is_precise = matches!(status.code(), Code::InvalidArgument | Code::FailedPrecondition);
        assert!(self.hostile && is_precise, "{}", self.story());
        self.reconnect(false);
    }
}

fn nonce(request: &SubscribeRequest) -> Option<&str> {
    match request.message.as_ref()? {
        Message::Ack(Ack { nonce, .. }) | Message::Nack(Nack { nonce, .. }) => Some(nonce),
        Message::Hello(_) => None,
    }
}

fn hello(held: &Snapshot) -> Hello {
    let domain = |domain: &toolplane_registry::Domain, digest: toolplane_registry::Digest| HeldDomain {
        domain: domain.to_string(),
        digest: digest.as_bytes().to_vec(),
    };
    Hello {
        node_id: NODE.to_owned(),
        held: Some(held.version().into()),
        domains: held.held().map(|(name, digest)| domain(name, digest)).collect(),
        protocol_version: toolplane_proto::PROTOCOL_VERSION,
        ..Hello::default()
    }
}
