//! What is known of nodes: who is connected, what each serves, why one refused.
//!
//! Owns the records and writes them to the store. A store that is away costs the record, never the stream. That a
//! node is connected is true for as long as its control plane lives, so each control plane renews one lease: what
//! it writes does not grow with the number of nodes, and one that is killed takes its nodes' presence along.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use toolplane_proto::sync;
use toolplane_registry::{Digest, Rejection, Version};

use super::fleet::{self, Progress};
use crate::clock::Clock;
use crate::store::history::Refusal;
use crate::store::{self, ControlPlane, Millis, NodeRecord, Store};

/// A lease outlives so many renewals that fail.
const RENEWALS_PER_LEASE: u32 = 3;

/// Keeps the records of nodes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Nodes {
    store: Arc<dyn Store>,
    clock: Clock,
    control_plane: Arc<str>,
    live: Arc<Mutex<Live>>,
    /// Rung whenever a node of this control plane came, went or answered.
    changes: Arc<watch::Sender<()>>,
}

/// Which stream speaks for a node. A node that reconnects may be here before its old stream has ended; what the
/// old one still has to say is void.
#[derive(Debug, Default)]
struct Live {
    streams: HashMap<String, u64>,
    opened: u64,
}

/// A connected node's record.
#[derive(Debug)]
pub struct Presence {
    nodes: Nodes,
    serial: u64,
    record: Mutex<NodeRecord>,
    /// Whether the store knows that this stream speaks for the node now.
    announced: AtomicBool,
}

impl Nodes {
    /// Keeps the records of nodes that are connected to this control plane.
    pub fn new(store: Arc<dyn Store>, clock: Clock, control_plane: &str) -> Self {
        Self {
            store,
            clock,
            control_plane: control_plane.into(),
            live: Arc::default(),
            changes: Arc::new(watch::Sender::new(())),
        }
    }

    /// Says that this control plane lives and will do so again after the time given. Comes before its first node.
    pub async fn renew_lease(&self, every: Duration) -> Result<(), store::Error> {
        let lease = every.saturating_mul(RENEWALS_PER_LEASE);
        let lease = Millis::try_from(lease.as_millis()).unwrap_or(Millis::MAX);
        self.store.renew_lease(&self.control_plane, lease).await
    }

    /// Renews the lease for as long as it is polled.
    pub async fn keep_lease(&self, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            if let Err(error) = self.renew_lease(every).await {
                // That the database is away is said, once, by those who follow it.
                tracing::debug!(%error, "cannot say that this control plane lives");
            }
        }
    }

    /// Follows what happens to the nodes of this control plane.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// How far the fleet is with a version, and whether part of it is connected to other control planes.
    pub(super) async fn progress(
        &self,
        target: &Version,
        share: f64,
    ) -> Result<(Progress, bool), store::Error> {
        let nodes = self.list().await?;
        let elsewhere = nodes
            .iter()
            .any(|node| node.disconnected_at.is_none() && *node.control_plane != *self.control_plane);
        let versions = self.store.list_versions(target.number().checked_add(1), 1).await?;
        let version = versions.into_iter().find(|version| version.number == target.number());
        let refusals = version.map(|version| version.refusals).unwrap_or_default();
        Ok((fleet::progress(nodes, &refusals, target, share), elsewhere))
    }

    /// The name of this control plane in the store.
    pub fn control_plane(&self) -> &str {
        &self.control_plane
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a node connected.
    pub async fn connect(&self, hello: &sync::Hello) -> Presence {
        let sync::Hello { node_id, build, labels, held, domains: _ } = hello;
        let serial = {
            let mut live = self.live();
            live.opened += 1;
            let serial = live.opened;
            live.streams.insert(node_id.clone(), serial);
            serial
        };
        let record = NodeRecord {
            id: node_id.clone(),
            control_plane: self.control_plane.to_string(),
            stream: serial,
            build: build.clone(),
            labels: labels
                .iter()
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect::<BTreeMap<_, _>>(),
            version: held.clone().map_or_else(Version::none, Version::from),
            digest: String::new(),
            connected_at: self.clock.now(),
            disconnected_at: None,
            acked_at: None,
            persisted: true,
            rejections: Vec::new(),
        };
        let presence = Presence {
            nodes: self.clone(),
            serial,
            record: Mutex::new(record),
            announced: AtomicBool::new(false),
        };
        presence.change(|_, _| {}).await;
        presence
    }

    /// All nodes ever seen, by id.
    pub async fn list(&self) -> Result<Vec<NodeRecord>, store::Error> {
        // The leases second: who has a node by then has one.
        let mut records = self.store.list_nodes().await?;
        let control_planes: HashMap<String, ControlPlane> =
            self.store.list_control_planes().await?.into_iter().map(|one| (one.id.clone(), one)).collect();
        let live = self.live();
        for record in records.iter_mut().filter(|record| record.disconnected_at.is_none()) {
            if live.streams.contains_key(&record.id) {
                continue;
            }
            let is_own = *record.control_plane == *self.control_plane;
            record.disconnected_at = match control_planes.get(&record.control_plane) {
                Some(other) if other.alive && !is_own => None,
                // It was killed: nobody was there to note the end of the stream.
                Some(other) if !is_own => Some(other.lease_until),
                _ => Some(record.last_heard_of()),
            };
        }
        Ok(records)
    }
}

impl Presence {
    /// Notes that the node serves a version.
    pub async fn acked(&self, version: Version, digest: Digest, persisted: bool) {
        self.change(|record, now| {
            record.version = version;
            record.digest = digest.to_string();
            record.acked_at = Some(now);
            record.persisted = persisted;
            record.rejections.clear();
        })
        .await;
    }

    /// Notes that the node refused a version, for good where `refused` names it.
    pub async fn nacked(&self, held: Version, rejections: Vec<Rejection>, refused: Option<Version>) {
        if let Some(version) = refused {
            self.note_refusal(&version, rejections.clone()).await;
        }
        self.change(|record, _| {
            let first = rejections.first().map(ToString::to_string).unwrap_or_default();
            tracing::error!(
                node.id = %record.id,
                rejections = rejections.len(),
                "node `{}` refused a snapshot and serves {held}: {first}",
                record.id
            );
            record.version = held;
            record.rejections = rejections;
        })
        .await;
    }

    /// The history of that version says who refused it, whatever the node serves later.
    async fn note_refusal(&self, version: &Version, rejections: Vec<Rejection>) {
        let node_id = self.record.lock().unwrap_or_else(PoisonError::into_inner).id.clone();
        let at = self.nodes.clock.now();
        let refusal = Refusal { number: version.number(), node_id, at, rejections };
        if let Err(error) = self.nodes.store.note_refusal(version.store_id(), &refusal).await {
            let node_id = &refusal.node_id;
            tracing::warn!(node.id = %node_id, %error, "cannot record that node `{node_id}` refused {version}");
        }
    }

    /// Notes that its stream ended.
    pub async fn disconnect(&self) {
        // A store that has not heard of the stream need not hear of its end; it may know of a newer one elsewhere.
        if self.announced.load(Ordering::Relaxed) {
            self.change(|record, now| record.disconnected_at = Some(now)).await;
        }
        let id = self.record.lock().unwrap_or_else(PoisonError::into_inner).id.clone();
        let mut live = self.nodes.live();
        if live.streams.get(&id) == Some(&self.serial) {
            live.streams.remove(&id);
        }
        drop(live);
        self.nodes.changes.send_replace(());
    }

    async fn change(&self, change: impl FnOnce(&mut NodeRecord, Millis)) {
        let record = {
            let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
            if self.nodes.live().streams.get(&record.id) != Some(&self.serial) {
                return;
            }
            change(&mut record, self.nodes.clock.now());
            record.clone()
        };
        let takes_over = !self.announced.load(Ordering::Relaxed);
        if let Err(error) = self.nodes.store.put_node(&record, takes_over).await {
            tracing::warn!(node.id = %record.id, %error, "cannot record the state of node `{}`", record.id);
        } else {
            self.announced.store(true, Ordering::Relaxed);
        }
        self.nodes.changes.send_replace(());
    }
}
