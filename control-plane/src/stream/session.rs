//! A node's side of the sync stream as the control plane sees it: a pure state machine.
//!
//! | state | event | next state | said to the node |
//! |---|---|---|---|
//! | just opened | the newest state | waiting | Update, without changes where the node holds that very state |
//! | idle | newer state | waiting | Update (changes against what the node holds) |
//! | idle | same version or same refused version | idle | nothing |
//! | waiting | newer state | waiting, newest kept | nothing |
//! | waiting | ACK with the nonce | idle, node holds it | Update if something newer is kept |
//! | waiting | NACK with the nonce | idle, node holds what it held | full Update of the newest state once if the digest did not match; else Update if something newer is kept |
//! | any | ACK or NACK with an older nonce | unchanged | nothing |
//! | any | a nonce never issued | ended | `INVALID_ARGUMENT` |
//! | any | a second Hello | ended | `FAILED_PRECONDITION` |
//! | any | a message this build does not know | unchanged | nothing |

use std::collections::BTreeMap;
use std::sync::Arc;

use tonic::Status;
use toolplane_proto::{decode, encode, sync};
use toolplane_registry::{Digest, Domain, Rejection, Rule, Snapshot, Version};

/// Longest node id and label, in bytes.
const MAX_TEXT: usize = 256;

/// What to do after an event.
#[derive(Debug)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Send an update.
    Send(Box<sync::Update>),
    /// Note the confirmation, then send what is newer.
    Acked {
        /// What the node serves now.
        version: Version,
        /// The digest of it.
        digest: Digest,
        /// Whether it is on the node's disk.
        persisted: bool,
        /// What is newer.
        next: Option<Box<sync::Update>>,
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
        next: Option<Box<sync::Update>>,
    },
}

/// The state of one stream.
#[derive(Debug)]
pub struct Session {
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
    snapshot: Arc<Snapshot>,
    full: bool,
}

impl Session {
    /// Begins with what the node says it holds.
    pub fn open(hello: &sync::Hello) -> Result<Self, Status> {
        let sync::Hello { node_id, build, labels, held, domains } = hello;
        let texts = labels.iter().flat_map(|(key, value)| [key, value]).chain([node_id, build]);
        if node_id.trim().is_empty() || texts.into_iter().any(|text| text.len() > MAX_TEXT) {
            return Err(Status::invalid_argument(format!(
                "a node needs an id, and neither it nor a label may be longer than {MAX_TEXT} bytes"
            )));
        }
        let held_domains = domains
            .iter()
            .map(|held| {
                let domain = decode::domain_name("domains.domain", &held.domain)?;
                Ok((domain, decode::digest("domains.digest", &held.digest)?))
            })
            .collect::<Result<_, decode::Error>>()
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        Ok(Self {
            held: held.clone().map_or_else(Version::none, Version::from),
            held_domains,
            outstanding: None,
            waiting: None,
            refused: None,
            issued: 0,
        })
    }

    /// A newer state was published.
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
            Some(Message::Ack(sync::Ack { nonce, version: _, persisted })) => {
                let Some(Outstanding { snapshot, .. }) = self.answered(&nonce)? else {
                    return Ok(Action::Nothing);
                };
                self.held = snapshot.version().clone();
                self.held_domains = held_domains(&snapshot);
                self.refused = None;
                let (version, digest) = (self.held.clone(), snapshot.digest());
                Ok(Action::Acked { version, digest, persisted, next: self.next() })
            }
            Some(Message::Nack(sync::Nack { nonce, held, rejections })) => {
                let Some(Outstanding { snapshot, full }) = self.answered(&nonce)? else {
                    return Ok(Action::Nothing);
                };
                let held = held.map_or_else(Version::none, Version::from);
                let rejections: Vec<Rejection> = rejections.into_iter().map(Into::into).collect();
                let resync = !full && rejections.iter().any(|r| r.rule == Rule::Digest);
                let (refused, next) = if resync {
                    // What the node holds is not what it said: forget it and send everything, once.
                    self.held_domains.clear();
                    let newest = self.waiting.take().unwrap_or(snapshot);
                    (None, Some(self.update(newest, true)))
                } else {
                    self.refused = Some(snapshot.version().clone());
                    (self.refused.clone(), self.next())
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

    fn next(&mut self) -> Option<Box<sync::Update>> {
        let newest = self.waiting.take()?;
        self.offer(newest)
    }

    fn offer(&mut self, snapshot: Arc<Snapshot>) -> Option<Box<sync::Update>> {
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

    fn update(&mut self, snapshot: Arc<Snapshot>, full: bool) -> Box<sync::Update> {
        self.issued += 1;
        let nonce = self.issued.to_string();
        let update = if full {
            encode::full_update(&snapshot, nonce)
        } else {
            encode::delta_update(&snapshot, &self.held_domains, nonce)
        };
        self.outstanding = Some(Outstanding { snapshot, full });
        Box::new(update)
    }
}

fn held_domains(snapshot: &Snapshot) -> BTreeMap<Domain, Digest> {
    snapshot.held().map(|(domain, digest)| (domain.clone(), digest)).collect()
}

#[cfg(test)]
mod tests;
