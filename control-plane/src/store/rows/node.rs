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
    control_plane: String,
    stream: i64,
}

#[derive(Deserialize)]
struct StoredRejection {
    subject: String,
    rule: String,
    reason: String,
}

/// The values that `PUT_NODE` takes.
pub(in crate::store) fn node_values(node: &NodeRecord) -> [Value; 13] {
    let NodeRecord {
        id,
        control_plane,
        stream,
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
        rejections_json(rejections).into(),
        control_plane.as_str().into(),
        stream.cast_signed().into(),
    ]
}

/// The stored form of rejections.
pub(in crate::store) fn rejections_json(rejections: &[Rejection]) -> String {
    let rejections: Vec<_> = rejections
        .iter()
        .map(|Rejection { subject, rule, reason }| {
            serde_json::json!({ "subject": subject, "rule": rule.as_str(), "reason": reason })
        })
        .collect();
    serde_json::Value::from(rejections).to_string()
}

/// Reads the form that [`rejections_json`] writes.
pub(super) fn rejections(text: &str, cell: Cell<'_>) -> Result<Vec<Rejection>, Error> {
    let stored: Vec<StoredRejection> = cell.json(text)?;
    Ok(stored.into_iter().map(Rejection::from).collect())
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
            control_plane,
            stream,
        } = row;
        let cell = |column| Cell { table: "nodes", column, id: &id };
        let labels: BTreeMap<String, String> = cell("labels").json(&labels)?;
        let rejections = self::rejections(&rejections, cell("rejections"))?;
        let version = match version.cast_unsigned() {
            0 => Version::none(),
            number => Version::new(store_id, number),
        };
        Ok(Self {
            control_plane,
            stream: stream.cast_unsigned(),
            build,
            labels,
            version,
            digest,
            connected_at,
            disconnected_at,
            acked_at,
            persisted,
            rejections,
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
