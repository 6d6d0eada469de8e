//! Nodes as rows.

use std::collections::BTreeMap;

use serde::Deserialize;
use toolplane_registry::{Rejection, Rule, Version};

use super::Cell;
use crate::store::database::Value;
use crate::store::{Error, Millis, NodeRecord};

#[derive(sqlx::FromRow)]
pub(in crate::store) struct NodeRow {
    id: String,
    build: String,
    labels: String,
    store_id: String,
    version: i64,
    digest: String,
    connected_at: Millis,
    disconnected_at: Option<Millis>,
    acked_at: Option<Millis>,
    persisted: bool,
    rejections: String,
}

#[derive(Deserialize)]
struct StoredRejection {
    subject: String,
    rule: String,
    reason: String,
}

/// The values that `PUT_NODE` takes.
pub(in crate::store) fn node_values(node: &NodeRecord) -> [Value; 11] {
    let NodeRecord {
        id,
        build,
        labels,
        version,
        digest,
        connected_at,
        disconnected_at,
        acked_at,
        persisted,
        rejections,
    } = node;
    let rejections: Vec<_> = rejections
        .iter()
        .map(|Rejection { subject, rule, reason }| {
            serde_json::json!({ "subject": subject, "rule": rule.as_str(), "reason": reason })
        })
        .collect();
    [
        id.as_str().into(),
        build.as_str().into(),
        serde_json::json!(labels).to_string().into(),
        version.store_id().into(),
        // A node may claim any number; its bits survive in the signed column.
        version.number().cast_signed().into(),
        digest.as_str().into(),
        (*connected_at).into(),
        (*disconnected_at).into(),
        (*acked_at).into(),
        (*persisted).into(),
        serde_json::Value::from(rejections).to_string().into(),
    ]
}

impl TryFrom<NodeRow> for NodeRecord {
    type Error = Error;

    fn try_from(row: NodeRow) -> Result<Self, Error> {
        let NodeRow {
            id,
            build,
            labels,
            store_id,
            version,
            digest,
            connected_at,
            disconnected_at,
            acked_at,
            persisted,
            rejections,
        } = row;
        let cell = |column| Cell { table: "nodes", column, id: &id };
        let labels: BTreeMap<String, String> = cell("labels").json(&labels)?;
        let rejections: Vec<StoredRejection> = cell("rejections").json(&rejections)?;
        let version = match version.cast_unsigned() {
            0 => Version::none(),
            number => Version::new(store_id, number),
        };
        Ok(Self {
            build,
            labels,
            version,
            digest,
            connected_at,
            disconnected_at,
            acked_at,
            persisted,
            rejections: rejections.into_iter().map(Rejection::from).collect(),
            id,
        })
    }
}

impl From<StoredRejection> for Rejection {
    fn from(stored: StoredRejection) -> Self {
        let StoredRejection { subject, rule, reason } = stored;
        // A rule this release does not know was written by a newer one; the words still say what happened.
        Self::new(subject, Rule::parse(&rule).unwrap_or(Rule::Consistency), reason)
    }
}
