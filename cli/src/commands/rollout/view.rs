//! How a rollout is shown.

use serde::Serialize;
use toolplane_proto::admin as wire;

use crate::output::{Table, table};

/// The rollout under way, if one is.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    rollout: Option<Rollout>,
    newest_version: u64,
    nodes: Vec<Node>,
}

#[derive(Debug, Serialize)]
struct Rollout {
    label: String,
    value: String,
    baseline: u64,
    actor: String,
    start_time: Option<String>,
    etag: String,
}

#[derive(Debug, Serialize)]
struct Node {
    #[serde(rename = "node_id")]
    id: String,
    group: Group,
    connected: bool,
    version: u64,
    serves_newest: bool,
    rejections: Vec<String>,
}

/// Which side of the rollout a node is on.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Group {
    Canary,
    HeldBack,
}

impl From<wire::GetRolloutResponse> for Status {
    fn from(state: wire::GetRolloutResponse) -> Self {
        let wire::GetRolloutResponse { rollout, newest, nodes } = state;
        let rollout = rollout.map(|rollout| {
            let wire::Rollout { label, value, baseline, actor, start_time, etag } = rollout;
            let baseline = baseline.unwrap_or_default().number;
            Rollout {
                label,
                value,
                baseline,
                actor,
                start_time: start_time.map(|time| time.to_string()),
                etag,
            }
        });
        let newest_version = newest.unwrap_or_default().number;
        Self { rollout, newest_version, nodes: nodes.into_iter().map(Node::from).collect() }
    }
}

impl From<wire::RolloutNode> for Node {
    fn from(node: wire::RolloutNode) -> Self {
        let wire::RolloutNode { node_id, connected, canary, current, version, rejections } = node;
        let rejections = rejections.into_iter().map(|one| format!("{}: {}", one.subject, one.reason));
        Self {
            id: node_id,
            group: if canary { Group::Canary } else { Group::HeldBack },
            connected,
            version: version.unwrap_or_default().number,
            serves_newest: current,
            rejections: rejections.collect(),
        }
    }
}

impl Status {
    /// The rollout, then one line per node.
    pub(super) fn table(&self) -> String {
        let Self { rollout, newest_version, nodes } = self;
        let Some(rollout) = rollout else { return "no rollout is under way\n".to_owned() };
        let Rollout { label, value, baseline, actor, start_time, etag: _ } = rollout;
        let details = table::details(&[
            ("canaries", format!("{label}={value}, get v{newest_version}")),
            ("all others", format!("are kept at v{baseline}")),
            ("started", start_time.clone().unwrap_or_default()),
            ("by", actor.clone()),
        ]);
        let mut table = Table::new(&["NODE", "GROUP", "SERVES", "NEWEST", "REFUSED"]);
        for node in nodes {
            let group = match node.group {
                Group::Canary => "canary",
                Group::HeldBack => "held back",
            };
            let newest = match (node.serves_newest, node.rejections.is_empty(), node.connected) {
                (true, _, true) => "serves it",
                (_, _, false) => "not connected",
                (false, false, true) => "refused it",
                (false, true, true) if matches!(node.group, Group::HeldBack) => "held back",
                (false, true, true) => "not yet",
            };
            let serves = if node.version == 0 { "–".to_owned() } else { format!("v{}", node.version) };
            let cells =
                [node.id.clone(), group.to_owned(), serves, newest.to_owned(), node.rejections.join("; ")];
            table.row(cells);
        }
        format!("{details}\n{}", table.render("no node has connected yet"))
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;
    use toolplane_proto::sync;

    use super::*;

    fn version(number: u64) -> sync::Version {
        sync::Version { store_id: "s".into(), number }
    }

    fn state() -> wire::GetRolloutResponse {
        let rejection =
            sync::Rejection { subject: "tool `a`".into(), rule: "schema".into(), reason: "too deep".into() };
        let node = |node_id: &str, canary, number| wire::RolloutNode {
            node_id: node_id.into(),
            connected: true,
            canary,
            current: number == 9,
            version: Some(version(number)),
            rejections: Vec::new(),
        };
        wire::GetRolloutResponse {
            rollout: Some(wire::Rollout {
                label: "ring".into(),
                value: "canary".into(),
                baseline: Some(version(7)),
                actor: "tok_1".into(),
                start_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }),
                etag: "e1".into(),
            }),
            newest: Some(version(9)),
            nodes: vec![
                node("a", true, 9),
                wire::RolloutNode { rejections: vec![rejection], ..node("b", true, 8) },
                node("c", true, 8),
                node("d", false, 7),
                wire::RolloutNode { connected: false, ..node("e", false, 6) },
                node("f", false, 0),
            ],
        }
    }

    #[test]
    fn a_rollout_shows_both_groups() {
        insta::assert_snapshot!(Status::from(state()).table());
        let none = wire::GetRolloutResponse { rollout: None, ..state() };
        assert_eq!(Status::from(none).table(), "no rollout is under way\n");
    }

    #[test]
    fn programs_get_the_same() {
        let state = wire::GetRolloutResponse { nodes: state().nodes.split_off(4), ..state() };
        insta::assert_json_snapshot!(Status::from(state));
    }
}
