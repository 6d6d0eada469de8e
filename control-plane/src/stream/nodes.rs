//! What is known of nodes: who is connected, what each serves, why one refused.
//!
//! Owns the records in memory and writes them to the store, many at a time and behind the streams: neither a slow
//! store nor one that is away holds a stream up, and what could not be written is written later. That a node is
//! connected is true for as long as its control plane lives, so each control plane renews one lease: what it writes
//! does not grow with the number of nodes, and one that is killed takes its nodes' presence along.

mod writing;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use toolplane_proto::sync;
use toolplane_registry::{Digest, Rejection, Version};

use super::fleet::{self, Progress};
use super::records::Records;
use crate::clock::Clock;
use crate::rollout::Rollout;
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
    records: Arc<Mutex<Records>>,
    /// Rung whenever there is something to write.
    unwritten: Arc<Notify>,
    /// One at a time writes.
    writing: Arc<tokio::sync::Mutex<()>>,
    /// Rung whenever a node of this control plane came, went or answered.
    changes: Arc<watch::Sender<()>>,
    /// The newest reading of the fleet, for everybody who asked before it began.
    reading: Arc<tokio::sync::Mutex<Option<Arc<Reading>>>>,
}

/// What the store said of the fleet.
#[derive(Debug)]
struct Reading {
    began: Instant,
    target: Version,
    nodes: Vec<NodeRecord>,
    refusals: Vec<Refusal>,
    rollout: Option<Rollout>,
    is_elsewhere: bool,
}

/// A connected node. A node that reconnects may be here before its old stream has ended; what the old one still has
/// to say is void.
#[derive(Debug)]
pub struct Presence {
    nodes: Nodes,
    id: String,
    stream: u64,
}

impl Nodes {
    /// Keeps the records of nodes that are connected to this control plane.
    pub fn new(store: Arc<dyn Store>, clock: Clock, control_plane: &str) -> Self {
        Self {
            store,
            clock,
            control_plane: control_plane.into(),
            records: Arc::default(),
            unwritten: Arc::default(),
            writing: Arc::default(),
            changes: Arc::new(watch::Sender::new(())),
            reading: Arc::default(),
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
        let reading = self.read(target).await?;
        let Reading { nodes, refusals, rollout, is_elsewhere, .. } = &*reading;
        let progress = fleet::progress(nodes.clone(), refusals, rollout.as_ref(), target, share);
        Ok((progress, *is_elsewhere))
    }

    /// Reads what is known of the fleet: many wait for the same, and one reading is enough for all who asked for it
    /// before it began.
    async fn read(&self, target: &Version) -> Result<Arc<Reading>, store::Error> {
        let asked = Instant::now();
        let mut shared = self.reading.lock().await;
        if let Some(reading) = shared.as_ref().filter(|one| one.began > asked && one.target == *target) {
            return Ok(Arc::clone(reading));
        }
        let began = Instant::now();
        let nodes = self.list().await?;
        let is_elsewhere = nodes
            .iter()
            .any(|node| node.disconnected_at.is_none() && *node.control_plane != *self.control_plane);
        let versions = self.store.list_versions(target.number().checked_add(1), 1).await?;
        let version = versions.into_iter().find(|version| version.number == target.number());
        let refusals = version.map(|version| version.refusals).unwrap_or_default();
        let rollout = self.store.rollout().await?;
        let target = target.clone();
        let reading = Arc::new(Reading { began, target, nodes, refusals, rollout, is_elsewhere });
        *shared = Some(Arc::clone(&reading));
        Ok(reading)
    }

    /// How many of these nodes are connected here and serve a version.
    pub(super) fn serving(&self, ids: &[String], target: &Version) -> usize {
        let records = self.records();
        let serves =
            |id: &&String| records.open_version(id).is_some_and(|version| fleet::serves(version, target));
        ids.iter().filter(serves).count()
    }

    /// How many nodes that are connected here a rollout keeps from a version.
    pub(crate) fn held_back(&self, rollout: &Rollout, target: &Version) -> usize {
        self.records().count_open(|node| fleet::is_held_back(node, rollout, target))
    }

    /// The name of this control plane in the store.
    pub fn control_plane(&self) -> &str {
        &self.control_plane
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a node connected.
    pub fn connect(&self, hello: &sync::Hello, peer: Option<SocketAddr>) -> Presence {
        let sync::Hello { node_id, build, labels, held, domains: _, protocol_version: _ } = hello;
        let connected_at = self.clock.now();
        let mut records = self.records();
        let rival = records.rival(node_id);
        let stream = records.open(|stream| NodeRecord {
            id: node_id.clone(),
            control_plane: self.control_plane.to_string(),
            stream,
            build: build.clone(),
            labels: labels.clone(),
            version: held.clone().map_or_else(Version::none, Version::from),
            digest: String::new(),
            connected_at,
            disconnected_at: None,
            acked_at: None,
            persisted: true,
            rejections: Vec::new(),
        });
        let new = peer.map_or_else(|| "this machine".to_owned(), |peer| peer.to_string());
        records.peer(stream, new.clone());
        drop(records);
        if let Some(old) = rival {
            tracing::warn!(
                node.id = %node_id,
                "node `{node_id}` connected from {new} while it is connected from {old}: unless it has just \
                 reconnected, two nodes use one id"
            );
        }
        self.ring();
        Presence { nodes: self.clone(), id: node_id.clone(), stream }
    }

    /// All nodes ever seen, by id.
    pub async fn list(&self) -> Result<Vec<NodeRecord>, store::Error> {
        // Whoever reads that a node refused reads next what it refused.
        if !self.records().unnoted().is_empty() {
            self.flush().await;
        }
        let held = self.records().held();
        // The leases second: who has a node by then has one.
        let stored = self.store.list_nodes().await?;
        let control_planes: HashMap<String, ControlPlane> =
            self.store.list_control_planes().await?.into_iter().map(|one| (one.id.clone(), one)).collect();
        let own = self.records();
        let mut records = own.overlay(&self.control_plane, &held, stored);
        for record in records.iter_mut().filter(|record| record.disconnected_at.is_none()) {
            let is_own = *record.control_plane == *self.control_plane;
            if is_own && own.is_open(&record.id) {
                continue;
            }
            record.disconnected_at = match control_planes.get(&record.control_plane) {
                Some(other) if other.alive && !is_own => None,
                // It was killed: nobody was there to note the end of the stream.
                Some(other) if !is_own => Some(other.lease_until),
                _ => Some(record.last_heard_of()),
            };
        }
        Ok(records)
    }

    fn ring(&self) {
        self.unwritten.notify_one();
        self.changes.send_replace(());
    }
}

impl Presence {
    /// Notes that the node serves a version.
    pub fn acked(&self, version: Version, digest: Digest, persisted: bool) {
        let now = self.nodes.clock.now();
        self.nodes.records().change(&self.id, self.stream, |record| {
            record.version = version;
            record.digest = digest.to_string();
            record.acked_at = Some(now);
            record.persisted = persisted;
            record.rejections.clear();
        });
        self.nodes.ring();
    }

    /// Notes that the node refused a version, for good where `refused` names it.
    pub fn nacked(&self, held: Version, rejections: Vec<Rejection>, refused: Option<Version>) {
        let Self { nodes, id, stream } = self;
        let first = rejections.first().map(ToString::to_string).unwrap_or_default();
        tracing::error!(
            node.id = %id,
            rejections = rejections.len(),
            "node `{id}` refused a snapshot and serves {held}: {first}"
        );
        let at = nodes.clock.now();
        let mut records = nodes.records();
        if let Some(version) = refused {
            let (number, node_id) = (version.number(), id.clone());
            records.refused(&version, Refusal { number, node_id, at, rejections: rejections.clone() });
        }
        records.change(id, *stream, |record| {
            record.version = held;
            record.rejections = rejections;
        });
        drop(records);
        nodes.ring();
    }

    /// Notes that its stream ended.
    pub fn disconnect(self) {
        drop(self);
    }
}

impl Drop for Presence {
    /// However it ended: by a panic, too.
    fn drop(&mut self) {
        self.nodes.records().close(&self.id, self.stream, self.nodes.clock.now());
        self.nodes.ring();
    }
}
