//! What is known of nodes: who is connected, what each serves, why one refused.
//!
//! Owns the records and writes them to the store. A store that is away costs the record, never the stream.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use toolplane_proto::sync;
use toolplane_registry::{Digest, Rejection, Version};

use crate::clock::Clock;
use crate::store::{self, NodeRecord, Store};

/// Keeps the records of nodes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Nodes {
    store: Arc<dyn Store>,
    clock: Clock,
}

/// A connected node's record.
#[derive(Debug)]
pub struct Presence {
    nodes: Nodes,
    record: Mutex<NodeRecord>,
}

impl Nodes {
    /// Keeps records in the store.
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock }
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
        let presence = Presence { nodes: self.clone(), record: Mutex::new(record) };
        presence.change(|_, _| {}).await;
        presence
    }

    /// All nodes ever seen, by id.
    pub async fn list(&self) -> Result<Vec<NodeRecord>, store::Error> {
        self.store.list_nodes().await
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
    }

    async fn change(&self, change: impl FnOnce(&mut NodeRecord, store::Millis)) {
        let record = {
            let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut record, self.nodes.clock.now());
            record.clone()
        };
        if let Err(error) = self.nodes.store.put_node(&record).await {
            tracing::warn!(node.id = %record.id, %error, "cannot record the state of node `{}`", record.id);
        }
    }
}
