//! What is kept of nodes.

use std::collections::BTreeMap;

use toolplane_registry::{Rejection, Version};

use crate::store::Millis;

/// Why a stream may speak for its node. The one that did so last speaks for it, and so may a later one of the same
/// control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It has just opened, and whatever was before it is over.
    Opened,
    /// It opened a while ago and is not on record yet: it speaks for the node unless that is connected elsewhere
    /// since. Once it has ended, it only does where the node is connected nowhere.
    Late,
    /// It is on record. A record of another control plane that is over, or whose stream opened earlier, was written
    /// late and gives way while this stream is open.
    Held,
}

/// What is known of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRecord {
    /// The id it gave itself.
    pub id: String,
    /// The control plane it is connected to, or was last.
    pub control_plane: String,
    /// Number of its stream there.
    pub stream: u64,
    /// Version of its software.
    pub build: String,
    /// Labels its operator gave it.
    pub labels: BTreeMap<String, String>,
    /// The version it serves.
    pub version: Version,
    /// The digest it confirmed, hexadecimal; empty before its first ACK.
    pub digest: String,
    /// When its stream opened.
    pub connected_at: Millis,
    /// When its stream ended; absent while it is connected.
    pub disconnected_at: Option<Millis>,
    /// When it last confirmed a version.
    pub acked_at: Option<Millis>,
    /// Whether its last-known-good file was written.
    pub persisted: bool,
    /// Reasons of its last NACK, JSON; empty since the last ACK.
    pub rejections: Vec<Rejection>,
}

impl NodeRecord {
    /// When it last said something that is kept.
    pub fn last_heard_of(&self) -> Millis {
        self.acked_at.map_or(self.connected_at, |acked_at| acked_at.max(self.connected_at))
    }
}

#[cfg(test)]
impl NodeRecord {
    /// Of a node that has connected and has confirmed nothing yet.
    pub(crate) fn silent(id: &str, control_plane: &str, stream: u64) -> Self {
        Self {
            id: id.to_owned(),
            control_plane: control_plane.to_owned(),
            stream,
            build: String::new(),
            labels: BTreeMap::new(),
            version: Version::none(),
            digest: String::new(),
            connected_at: 10,
            disconnected_at: None,
            acked_at: None,
            persisted: true,
            rejections: Vec::new(),
        }
    }
}
