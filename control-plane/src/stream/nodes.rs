//! What is known of nodes: who is connected, what each serves, why one refused.
//!
//! Owns the records and writes them to the store. A store that is away costs the record, never the stream.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use toolplane_proto::sync;
use toolplane_registry::{Digest, Rejection, Version};

use crate::clock::Clock;
use crate::store::{self, Millis, NodeRecord, Store};

/// Keeps the records of nodes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Nodes {
    store: Arc<dyn Store>,
    clock: Clock,
    started_at: Millis,
    live: Arc<Mutex<Live>>,
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
}

impl Nodes {
    /// Keeps records in the store.
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        let started_at = clock.now();
        Self { store, clock, started_at, live: Arc::default() }
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a node connected.
    pub async fn connect(&self, hello: &sync::Hello) -> Presence {
        let sync::Hello { node_id, build, labels, held, domains: _ } = hello;
        let record = NodeRecord {
            id: node_id.clone(),
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
        let serial = {
            let mut live = self.live();
            live.opened += 1;
            let serial = live.opened;
            live.streams.insert(node_id.clone(), serial);
            serial
        };
        let presence = Presence { nodes: self.clone(), serial, record: Mutex::new(record) };
        presence.change(|_, _| {}).await;
        presence
    }

    /// All nodes ever seen, by id.
    pub async fn list(&self) -> Result<Vec<NodeRecord>, store::Error> {
        let mut records = self.store.list_nodes().await?;
        let live = self.live();
        for record in &mut records {
            // Left over from a control plane that was killed: nobody was there to note the end of the stream.
            let left_over = record.connected_at < self.started_at && !live.streams.contains_key(&record.id);
            if left_over && record.disconnected_at.is_none() {
                record.disconnected_at = Some(self.started_at);
            }
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

    /// Notes that the node refused a version.
    pub async fn nacked(&self, held: Version, rejections: Vec<Rejection>) {
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

    /// Notes that its stream ended.
    pub async fn disconnect(&self) {
        self.change(|record, now| record.disconnected_at = Some(now)).await;
        let id = self.record.lock().unwrap_or_else(PoisonError::into_inner).id.clone();
        let mut live = self.nodes.live();
        if live.streams.get(&id) == Some(&self.serial) {
            live.streams.remove(&id);
        }
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
        if let Err(error) = self.nodes.store.put_node(&record).await {
            tracing::warn!(node.id = %record.id, %error, "cannot record the state of node `{}`", record.id);
        }
    }
}
