//! A node's side of the sync stream as the control plane sees it: a pure state machine.
//!
//! | state | event | next state | said to the node |
//! |---|---|---|---|
//! | just opened | the newest state | waiting | Update, without changes where the node holds that very state |
//! | just opened | the newest state is held back, and the node holds the baseline or a later version | waiting | Update without changes to what the node holds |
//! | idle | newer state | waiting | Update (changes against what the node holds) |
//! | idle | same version or same refused version | idle | nothing |
//! | waiting | newer state | waiting, newest kept | nothing |
//! | waiting | ACK with the nonce | idle, node holds it | Update if something newer is kept |
//! | waiting | ACK with the nonce, but of another version | ended | `INVALID_ARGUMENT` |
//! | waiting | NACK with the nonce | idle, node holds what it held | full Update of the newest state once if the digest did not match; else Update if something newer is kept |
//! | any | ACK or NACK with an older nonce | unchanged | nothing |
//! | any | a nonce never issued | ended | `INVALID_ARGUMENT` |
//! | any | a second Hello | ended | `FAILED_PRECONDITION` |
//! | any | a message that cannot be read | ended | `INVALID_ARGUMENT` |
//! | any | a message longer than the limit | ended | `RESOURCE_EXHAUSTED` |
//! | any | the database could not be read for longer than the grace | ended | `UNAVAILABLE` |
//! | any | the token of the stream expired or was revoked | ended | `UNAUTHENTICATED` |
//! | any | a message this build does not know | unchanged | nothing |

use std::collections::BTreeMap;
use std::sync::Arc;

use tonic::Status;
use toolplane_proto::{decode, encode, sync};
use toolplane_registry::snapshot::{DomainSnapshot, Settings, whole_digest};
use toolplane_registry::{Digest, Domain, Rejection, Rule, Snapshot, Version};

use super::bounds;
use crate::rollout::{self, Target};
use crate::snapshots::Published;

/// An update as it is decided on: what was encoded for another node need not be encoded again.
#[derive(Debug)]
pub struct Update {
    /// Everything but the domains that changed.
    pub bare: sync::Update,
    /// The domains that changed.
    pub changed: Vec<Arc<DomainSnapshot>>,
}

impl Update {
    /// All of it as one message.
    pub fn message(&self) -> sync::Update {
        let changed = self.changed.iter().map(|entry| entry.as_ref().into()).collect();
        sync::Update { changed, ..self.bare.clone() }
    }
}

/// What to do after an event.
#[derive(Debug)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Send an update.
    Send(Box<Update>),
    /// Note the confirmation, then send what is newer.
    Acked {
        /// What the node serves now.
        version: Version,
        /// The digest of it.
        digest: Digest,
        /// Whether it is on the node's disk.
        persisted: bool,
        /// What is newer.
        next: Option<Box<Update>>,
    },
    /// Note the refusal, then send what is newer.
    Nacked {
        /// What the node still serves.
        held: Version,
        /// Why it refused.
        rejections: Vec<Rejection>,
        /// The version it will not take; absent where it is asked once more, with everything.
        refused: Option<Version>,
        /// What is newer, or the same in full.
        next: Option<Box<Update>>,
    },
}

/// The state of one stream.
#[derive(Debug)]
pub struct Session {
    labels: BTreeMap<String, String>,
    held: Version,
    held_domains: BTreeMap<Domain, Digest>,
    /// On its way: its nonce is the newest issued.
    outstanding: Option<Outstanding>,
    /// Newer than what is on its way.
    waiting: Option<Arc<Snapshot>>,
    /// The version the node refused last: it is not offered again on this stream.
    refused: Option<Version>,
    issued: u64,
}

#[derive(Debug)]
struct Outstanding {
    /// Absent: what the node holds already.
    snapshot: Option<Arc<Snapshot>>,
    digest: Digest,
    full: bool,
}

impl Session {
    /// Begins with what the node says it holds.
    pub fn open(hello: &sync::Hello) -> Result<Self, Status> {
        bounds::check(hello)?;
        let sync::Hello { labels, held, domains, .. } = hello;
        let held_domains = domains
            .iter()
            .map(|held| {
                let domain = decode::domain_name("domains.domain", &held.domain)?;
                Ok((domain, decode::digest("domains.digest", &held.digest)?))
            })
            .collect::<Result<_, decode::Error>>()
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        Ok(Self {
            labels: labels.clone(),
            held: held.clone().map_or_else(Version::none, Version::from),
            held_domains,
            outstanding: None,
            waiting: None,
            refused: None,
            issued: 0,
        })
    }

    /// A newer state was published: what of it is for this node depends on the rollout that it is subject to.
    pub fn published(&mut self, published: &Published) -> Action {
        let Published { registry, snapshot, admitted: _, baseline } = published;
        let store_id = &registry.head.store_id;
        match rollout::target(registry.rollout.as_ref(), store_id, &self.labels, &self.held) {
            Target::Newest => self.newer(Arc::clone(snapshot)),
            // Without one there is nothing to give: the node goes on with what it has.
            Target::Baseline => match baseline {
                Some(baseline) => self.newer(Arc::clone(baseline)),
                None => Action::Nothing,
            },
            Target::Held => self.keep(snapshot.settings()),
        }
    }

    /// The node is to keep what it holds, and is told so once: how its upstreams are reached, which may have changed
    /// since, is not sent again.
    fn keep(&mut self, settings: &Settings) -> Action {
        if self.issued > 0 {
            return Action::Nothing;
        }
        self.issued += 1;
        let digest =
            whole_digest(settings, self.held_domains.iter().map(|(domain, digest)| (domain, *digest)));
        let bare = sync::Update {
            nonce: self.issued.to_string(),
            version: Some((&self.held).into()),
            digest: digest.as_bytes().to_vec(),
            settings: Some(settings.into()),
            ..sync::Update::default()
        };
        self.outstanding = Some(Outstanding { snapshot: None, digest, full: false });
        Action::Send(Box::new(Update { bare, changed: Vec::new() }))
    }

    /// A newer state is for this node.
    pub fn newer(&mut self, snapshot: Arc<Snapshot>) -> Action {
        if self.outstanding.is_some() {
            self.waiting = Some(snapshot);
            return Action::Nothing;
        }
        self.offer(snapshot).map_or(Action::Nothing, Action::Send)
    }

    /// The node said something.
    pub fn received(&mut self, request: sync::SubscribeRequest) -> Result<Action, Status> {
        use sync::subscribe_request::Message;
        match request.message {
            Some(Message::Ack(sync::Ack { nonce, version, persisted })) => {
                let Some(Outstanding { snapshot, digest, full: _ }) = self.answered(&nonce)? else {
                    return Ok(Action::Nothing);
                };
                let offered = snapshot.as_ref().map_or(&self.held, |snapshot| snapshot.version());
                if let Some(confirmed) = version.map(Version::from).filter(|version| version != offered) {
                    let reason = format!("update {nonce} leads to {offered}, and not to {confirmed}");
                    return Err(Status::invalid_argument(reason));
                }
                if let Some(snapshot) = snapshot {
                    self.held = snapshot.version().clone();
                    self.held_domains = held_domains(&snapshot);
                }
                self.refused = None;
                let version = self.held.clone();
                Ok(Action::Acked { version, digest, persisted, next: self.next() })
            }
            Some(Message::Nack(sync::Nack { nonce, held, rejections })) => {
                let Some(Outstanding { snapshot, digest: _, full }) = self.answered(&nonce)? else {
                    return Ok(Action::Nothing);
                };
                let held = held.map_or_else(Version::none, Version::from);
                let rejections = bounds::rejections(rejections);
                let resync = !full && rejections.iter().any(|r| r.rule == Rule::Digest);
                let (refused, next) = match snapshot {
                    Some(snapshot) if resync => {
                        // What the node holds is not what it said: forget it and send everything, once.
                        self.held_domains.clear();
                        let newest = self.waiting.take().unwrap_or(snapshot);
                        (None, Some(self.update(newest, true)))
                    }
                    Some(snapshot) => {
                        self.refused = Some(snapshot.version().clone());
                        (self.refused.clone(), self.next())
                    }
                    // Nothing was offered that it could have refused.
                    None => (None, self.next()),
                };
                Ok(Action::Nacked { held, rejections, refused, next })
            }
            Some(Message::Hello(_)) => Err(Status::failed_precondition("Hello was already said")),
            // From a newer node.
            None => Ok(Action::Nothing),
        }
    }

    /// Takes what is on its way when the nonce is its; `None` for an answer that comes too late.
    fn answered(&mut self, nonce: &str) -> Result<Option<Outstanding>, Status> {
        let number: u64 = nonce.parse().unwrap_or(0);
        if number == 0 || number > self.issued {
            return Err(Status::invalid_argument("the nonce was never issued on this stream"));
        }
        Ok(if number == self.issued { self.outstanding.take() } else { None })
    }

    fn next(&mut self) -> Option<Box<Update>> {
        let newest = self.waiting.take()?;
        self.offer(newest)
    }

    fn offer(&mut self, snapshot: Arc<Snapshot>) -> Option<Box<Update>> {
        let version = snapshot.version();
        // The first answer is always given: the node learns that it is current, and confirms what it serves.
        let known = self.issued > 0 && self.held == *version;
        if known || self.refused.as_ref() == Some(version) {
            return None;
        }
        // Held domains of another store are as good by digest, but versions cannot be compared: start afresh.
        let full = self.held.is_none() || self.held.store_id() != version.store_id();
        Some(self.update(snapshot, full))
    }

    fn update(&mut self, snapshot: Arc<Snapshot>, full: bool) -> Box<Update> {
        self.issued += 1;
        let nonce = self.issued.to_string();
        let nothing = BTreeMap::new();
        let held = if full { &nothing } else { &self.held_domains };
        let bare = sync::Update { full, ..encode::bare_update(&snapshot, held, nonce) };
        let changed = encode::changed(&snapshot, held).map(Arc::clone).collect();
        let digest = snapshot.digest();
        self.outstanding = Some(Outstanding { snapshot: Some(snapshot), digest, full });
        Box::new(Update { bare, changed })
    }
}

fn held_domains(snapshot: &Snapshot) -> BTreeMap<Domain, Digest> {
    snapshot.held().map(|(domain, digest)| (domain.clone(), digest)).collect()
}

#[cfg(test)]
mod tests;
