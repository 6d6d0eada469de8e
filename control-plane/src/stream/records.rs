//! What this control plane knows of its own nodes, and what of it the store does not know yet.
//!
//! Pure: it holds the newest record of each node whose stream is open, or whose end is not on record, and hands out
//! what is to be written. Who writes, and when, is decided by [`super::nodes`]. Of a node there is one record, so
//! what waits for a database that is away does not grow with time.

use std::collections::{BTreeMap, HashSet};

use toolplane_registry::Version;

use crate::store::history::Refusal;
use crate::store::{Claim, Millis, NodeRecord};

/// The records of this control plane's nodes.
#[derive(Debug, Default)]
pub(super) struct Records {
    entries: BTreeMap<String, Entry>,
    /// Streams that are open and do not speak for their node, because a later one does; oldest first.
    displaced: BTreeMap<String, Vec<NodeRecord>>,
    /// Where open streams come from, by number.
    peers: BTreeMap<u64, String>,
    opened: u64,
    /// Those that the store has not noted, by store, number and node.
    refusals: BTreeMap<(String, u64, String), Refusal>,
}

#[derive(Debug)]
struct Entry {
    record: NodeRecord,
    /// Counts the changes.
    revision: u64,
    /// How many of them the store knows.
    written: u64,
    claim: Claim,
}

/// What is to be written of one node.
#[derive(Debug, Clone)]
pub(super) struct Unwritten {
    pub(super) record: NodeRecord,
    pub(super) claim: Claim,
    revision: u64,
}

impl Records {
    /// A stream opened; it speaks for its node from now on. The number that `record` makes it carry is its own.
    pub(super) fn open(&mut self, record: impl FnOnce(u64) -> NodeRecord) -> u64 {
        self.opened += 1;
        let record = record(self.opened);
        let entry = Entry { revision: 1, written: 0, claim: Claim::Opened, record };
        let id = entry.record.id.clone();
        let before = self.entries.insert(id.clone(), entry);
        if let Some(before) = before.filter(|before| before.record.disconnected_at.is_none()) {
            self.displaced.entry(id).or_default().push(before.record);
        }
        self.opened
    }

    /// Notes where a stream comes from.
    pub(super) fn peer(&mut self, stream: u64, peer: String) {
        self.peers.insert(stream, peer);
    }

    /// Where the node's stream comes from that is open, if one is.
    pub(super) fn rival(&self, id: &str) -> Option<String> {
        let entry = self.entries.get(id).filter(|entry| entry.record.disconnected_at.is_none())?;
        self.peers.get(&entry.record.stream).cloned()
    }

    /// Changes what is known of a node. What another stream speaks for by now is noted for when that one ends.
    pub(super) fn change(&mut self, id: &str, stream: u64, change: impl FnOnce(&mut NodeRecord)) {
        if let Some(entry) = self.entry(id, stream) {
            change(&mut entry.record);
            entry.revision += 1;
        } else if let Some(record) =
            self.displaced.get_mut(id).and_then(|of_node| of_node.iter_mut().find(|one| one.stream == stream))
        {
            change(record);
        }
    }

    /// A stream ended. Where another of the same node is open, that one speaks for it again: it may be the node, and
    /// this one somebody else.
    pub(super) fn close(&mut self, id: &str, stream: u64, at: Millis) {
        self.peers.remove(&stream);
        let speaks = self.entry(id, stream).is_some();
        let before = self.displaced.get_mut(id);
        let survivor = before.and_then(|before| {
            before.retain(|one| one.stream != stream);
            if speaks { before.pop() } else { None }
        });
        if self.displaced.get(id).is_some_and(Vec::is_empty) {
            self.displaced.remove(id);
        }
        if let Some(record) = survivor {
            let entry = Entry { revision: 1, written: 0, claim: Claim::Opened, record };
            self.entries.insert(id.to_owned(), entry);
            return;
        }
        if let Some(entry) = self.entry(id, stream) {
            entry.record.disconnected_at = Some(at);
            entry.revision += 1;
            if entry.claim == Claim::Opened {
                // Before it came on record: by then the node may be connected elsewhere.
                entry.claim = Claim::Late;
            }
        }
    }

    /// A node refused a version for good.
    pub(super) fn refused(&mut self, version: &Version, refusal: Refusal) {
        let key = (version.store_id().to_owned(), refusal.number, refusal.node_id.clone());
        self.refusals.insert(key, refusal);
    }

    /// Refusals that are to be noted, with the store that they are of.
    pub(super) fn unnoted(&self) -> Vec<(String, Refusal)> {
        self.refusals.iter().map(|((store_id, ..), refusal)| (store_id.clone(), refusal.clone())).collect()
    }

    /// A refusal was noted, or cannot be. A later one of the same version stays.
    pub(super) fn noted(&mut self, store_id: &str, refusal: &Refusal) {
        let key = (store_id.to_owned(), refusal.number, refusal.node_id.clone());
        if self.refusals.get(&key) == Some(refusal) {
            self.refusals.remove(&key);
        }
    }

    /// What the store does not know, by node: whoever writes several rows does so in one order.
    pub(super) fn unwritten(&self) -> Vec<Unwritten> {
        let dirty = self.entries.values().filter(|entry| entry.revision > entry.written);
        dirty
            .map(|Entry { record, claim, revision, .. }| Unwritten {
                record: record.clone(),
                claim: *claim,
                revision: *revision,
            })
            .collect()
    }

    /// The store was told.
    pub(super) fn written(&mut self, told: &[Unwritten]) {
        for one in told {
            self.settle(one, Claim::Held);
        }
    }

    /// The store will not take it, whatever is tried; what changes after that is written all the same.
    pub(super) fn given_up(&mut self, refused: &Unwritten) {
        self.settle(refused, refused.claim);
    }

    /// The store could not be told: by the next time, what has just opened has not.
    pub(super) fn failed(&mut self, untold: &[Unwritten]) {
        for Unwritten { record, .. } in untold {
            if let Some(entry) = self.entry(&record.id, record.stream).filter(|e| e.claim == Claim::Opened) {
                entry.claim = Claim::Late;
            }
        }
    }

    /// Nodes whose stream here is on record: where the store names another one, that one came later.
    pub(super) fn held(&self) -> HashSet<String> {
        let held = self.entries.iter().filter(|(_, entry)| entry.claim == Claim::Held);
        held.map(|(id, _)| id.clone()).collect()
    }

    /// Puts what is known here over what the store said, given who was [`Records::held`] before it was asked.
    pub(super) fn overlay(
        &self,
        control_plane: &str,
        held: &HashSet<String>,
        stored: Vec<NodeRecord>,
    ) -> Vec<NodeRecord> {
        let mut all: BTreeMap<String, NodeRecord> =
            stored.into_iter().map(|record| (record.id.clone(), record)).collect();
        for (id, entry) in &self.entries {
            let is_elsewhere = all.get(id).is_some_and(|stored| stored.control_plane != control_plane);
            if !(is_elsewhere && held.contains(id)) {
                all.insert(id.clone(), entry.record.clone());
            }
        }
        all.into_values().collect()
    }

    /// How many of the nodes with an open stream here are like that.
    pub(super) fn count_open(&self, is_like_that: impl Fn(&NodeRecord) -> bool) -> usize {
        let open = self.entries.values().map(|entry| &entry.record);
        open.filter(|record| record.disconnected_at.is_none() && is_like_that(record)).count()
    }

    /// Whether the node has an open stream here.
    pub(super) fn is_open(&self, id: &str) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.record.disconnected_at.is_none())
    }

    /// The version of a node whose stream is open here.
    pub(super) fn open_version(&self, id: &str) -> Option<&Version> {
        let entry = self.entries.get(id).filter(|entry| entry.record.disconnected_at.is_none())?;
        Some(&entry.record.version)
    }

    fn settle(&mut self, Unwritten { record, revision, .. }: &Unwritten, claim: Claim) {
        let Some(entry) = self.entry(&record.id, record.stream) else { return };
        (entry.claim, entry.written) = (claim, *revision);
        if entry.record.disconnected_at.is_some() && entry.revision == *revision {
            self.entries.remove(&record.id);
        }
    }

    fn entry(&mut self, id: &str, stream: u64) -> Option<&mut Entry> {
        self.entries.get_mut(id).filter(|entry| entry.record.stream == stream)
    }
}

#[cfg(test)]
mod tests;
