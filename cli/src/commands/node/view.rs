//! How nodes are shown: what each serves, and how far behind it is.

use std::collections::BTreeMap;
use std::time::Duration;

use prost_types::Timestamp;
use serde::Serialize;
use toolplane_proto::{admin as wire, sync};

use crate::output::Table;

/// The nodes, and what they are measured against.
#[derive(Debug, Serialize)]
pub(crate) struct Nodes {
    latest_version: u64,
    nodes: Vec<Node>,
}

/// A node as it is printed.
#[derive(Debug, Serialize)]
struct Node {
    #[serde(rename = "node_id")]
    id: String,
    state: State,
    version: u64,
    /// Of the whole snapshot, as the node confirmed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// How many versions it is behind what it is to serve; absent where it serves those of another store, or none.
    versions_behind: Option<u64>,
    seconds_since_ack: Option<u64>,
    build: String,
    labels: BTreeMap<String, String>,
    connected: bool,
    persisted: bool,
    rejections: Vec<String>,
    connect_time: Option<String>,
    disconnect_time: Option<String>,
    ack_time: Option<String>,
    #[serde(skip)]
    away: Option<Duration>,
}

/// What a node is doing, as far as the control plane knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It follows the control plane.
    Connected,
    /// It is connected, and a rollout keeps it from the latest version.
    #[serde(rename = "held_back")]
    HeldBack,
    /// It is connected and refused the latest version it was sent.
    Refusing,
    /// It is not connected: if it runs, it serves what it had.
    Stale,
}

impl Nodes {
    /// The nodes as a control plane listed them at a time.
    pub(crate) fn new(nodes: Vec<wire::Node>, latest: &sync::Version, read: Option<Timestamp>) -> Self {
        let show = |node| Node::new(node, latest, read.as_ref());
        Self { nodes: nodes.into_iter().map(show).collect(), latest_version: latest.number }
    }

    /// One line per node; why it refused is the last column, because it may be long.
    pub(crate) fn table(&self) -> String {
        let headings =
            ["NODE", "STATE", "VERSION", "BEHIND", "LAST ACK", "DISK", "BUILD", "LABELS", "LAST REJECTION"];
        let mut table = Table::new(&headings);
        for node in &self.nodes {
            let none = || "–".to_owned();
            let state = match (node.state, node.away) {
                (State::Stale, Some(away)) => format!("stale for {}", age(away)),
                (State::Stale, None) => "stale".to_owned(),
                (State::Connected, _) => "connected".to_owned(),
                (State::HeldBack, _) => "held back".to_owned(),
                (State::Refusing, _) => "refusing".to_owned(),
            };
            let labels: Vec<String> =
                node.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            table.row([
                node.id.clone(),
                state,
                if node.version == 0 { none() } else { format!("v{}", node.version) },
                node.versions_behind.map_or_else(none, |behind| behind.to_string()),
                node.seconds_since_ack.map_or_else(none, |since| age(Duration::from_secs(since)) + " ago"),
                if node.persisted { "written" } else { "refuses" }.to_owned(),
                node.build.clone(),
                labels.join(","),
                node.rejections.join("; "),
            ]);
        }
        let latest = format!("latest version: v{}\n", self.latest_version);
        table.render("no node has connected yet") + if self.latest_version == 0 { "" } else { &latest }
    }
}

impl Node {
    fn new(node: wire::Node, latest: &sync::Version, read: Option<&Timestamp>) -> Self {
        let wire::Node {
            node_id,
            build,
            labels,
            connected,
            version,
            connect_time,
            ack_time,
            rejections,
            persisted,
            disconnect_time,
            held_back,
            target,
            digest,
        } = node;
        let version = version.unwrap_or_default();
        let comparable = version.number > 0 && version.store_id == latest.store_id;
        // What it is to serve: a node that is held back does not lag for that. An older control plane does not say.
        let target = target.as_ref().unwrap_or(latest);
        let versions_behind = comparable.then(|| target.number.saturating_sub(version.number));
        let since = |then: Option<&Timestamp>| between(then?, read?);
        let state = match (connected, rejections.is_empty()) {
            (false, _) => State::Stale,
            (true, false) => State::Refusing,
            (true, true) if held_back => State::HeldBack,
            (true, true) => State::Connected,
        };
        Self {
            id: node_id,
            state,
            version: version.number,
            digest: Some(digest).filter(|digest| !digest.is_empty()),
            versions_behind,
            seconds_since_ack: since(ack_time.as_ref()).map(|since| since.as_secs()),
            build,
            labels: labels.into_iter().collect(),
            connected,
            persisted,
            rejections: rejections
                .into_iter()
                .map(|one| format!("{}: {}", one.subject, one.reason))
                .collect(),
            connect_time: connect_time.map(|time| time.to_string()),
            away: since(disconnect_time.as_ref()),
            disconnect_time: disconnect_time.map(|time| time.to_string()),
            ack_time: ack_time.map(|time| time.to_string()),
        }
    }
}

/// How long the one was before the other; nothing where clocks disagree.
fn between(earlier: &Timestamp, later: &Timestamp) -> Option<Duration> {
    u64::try_from(later.seconds.saturating_sub(earlier.seconds)).ok().map(Duration::from_secs)
}

/// A duration in its largest unit: people want to know whether it is seconds or days.
fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(node_id: &str, version: u64) -> wire::Node {
        wire::Node {
            node_id: node_id.into(),
            build: "0.1.0".into(),
            connected: true,
            persisted: true,
            version: Some(sync::Version { store_id: "s".into(), number: version }),
            ack_time: Some(at(1_699_999_997)),
            ..wire::Node::default()
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp { seconds, nanos: 0 }
    }

    fn nodes() -> Nodes {
        let rejection =
            sync::Rejection { subject: "tool `a`".into(), rule: "schema".into(), reason: "too deep".into() };
        let other_store = Some(sync::Version { store_id: "older".into(), number: 90 });
        let nodes = vec![
            node("a", 7),
            wire::Node { labels: [("zone".to_owned(), "1".to_owned())].into(), ..node("b", 5) },
            wire::Node { rejections: vec![rejection], ..node("c", 6) },
            wire::Node { persisted: false, ..node("d", 7) },
            wire::Node { connected: false, disconnect_time: Some(at(1_699_999_400)), ..node("e", 4) },
            wire::Node { ack_time: None, ..node("f", 0) },
            wire::Node { version: other_store, ..node("g", 0) },
            wire::Node {
                held_back: true,
                target: Some(sync::Version { store_id: "s".into(), number: 6 }),
                ..node("h", 6)
            },
        ];
        let latest = sync::Version { store_id: "s".into(), number: 7 };
        Nodes::new(nodes, &latest, Some(at(1_700_000_000)))
    }

    #[test]
    fn nodes_that_lag_or_refuse_stand_out() {
        insta::assert_snapshot!(nodes().table());
    }

    #[test]
    fn programs_get_the_same() {
        let nodes = serde_json::to_value(nodes()).unwrap();
        insta::assert_json_snapshot!(nodes["nodes"][2]);
    }

    #[test]
    fn ages_have_one_unit() {
        for (seconds, expected) in
            [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 d"), (864_000, "10 d")]
        {
            assert_eq!(age(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn a_clock_that_went_back_gives_no_age() {
        assert_eq!(between(&at(10), &at(9)), None);
    }
}
