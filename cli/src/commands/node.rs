//! `toolplane node`: the data-plane nodes as they last reported.

use std::collections::BTreeMap;

use serde::Serialize;
use toolplane_proto::admin as wire;

use crate::args::{NodeCommand, ReadConnection};
use crate::client::{Client, PAGE_SIZE};
use crate::env::Variables;
use crate::exit::Failure;
use crate::output::{self, Table};

#[derive(Debug, Serialize)]
struct Nodes {
    latest_version: u64,
    nodes: Vec<Node>,
}

#[derive(Debug, Serialize)]
struct Node {
    #[serde(rename = "node_id")]
    id: String,
    build: String,
    labels: BTreeMap<String, String>,
    connected: bool,
    version: u64,
    connect_time: Option<String>,
    ack_time: Option<String>,
    rejections: Vec<String>,
    persisted: bool,
}

pub(crate) async fn run(command: NodeCommand, variables: &Variables) -> Result<(), Failure> {
    let NodeCommand::List { read } = command;
    list(&read, variables).await
}

async fn list(read: &ReadConnection, variables: &Variables) -> Result<(), Failure> {
    let client = Client::connect(&read.connection, variables).await?;
    let (mut nodes, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = wire::ListNodesRequest { page_size: PAGE_SIZE, page_token };
        let page = client.nodes().list_nodes(request).await?.into_inner();
        nodes.extend(page.nodes.into_iter().map(Node::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            let latest_version = page.latest.map_or(0, |version| version.number);
            return output::data(read.output, &Nodes { latest_version, nodes }, Nodes::table);
        }
    }
}

impl From<wire::Node> for Node {
    fn from(node: wire::Node) -> Self {
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
        } = node;
        Self {
            id: node_id,
            build,
            labels: labels.into_iter().collect(),
            connected,
            version: version.map_or(0, |version| version.number),
            connect_time: connect_time.map(|time| time.to_string()),
            ack_time: ack_time.map(|time| time.to_string()),
            rejections: rejections
                .into_iter()
                .map(|one| format!("{}: {}", one.subject, one.reason))
                .collect(),
            persisted,
        }
    }
}

impl Nodes {
    fn table(&self) -> String {
        let mut table = Table::new(&["NODE", "STATE", "VERSION", "BUILD", "LABELS"]);
        for node in &self.nodes {
            let version = match node.version {
                0 => "–".to_owned(),
                version if version < self.latest_version => format!("v{version} of v{}", self.latest_version),
                version => format!("v{version}"),
            };
            let labels: Vec<String> =
                node.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            table.row([node.id.clone(), node.state(), version, node.build.clone(), labels.join(",")]);
        }
        table.render("no node has connected yet")
    }
}

impl Node {
    fn state(&self) -> String {
        match (self.connected, self.rejections.first()) {
            (false, _) => "away".to_owned(),
            (true, Some(reason)) => format!("refused: {reason}"),
            (true, None) if !self.persisted && self.version > 0 => {
                "connected, its disk refuses writes".to_owned()
            }
            (true, None) => "connected".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use toolplane_proto::sync;

    use super::*;

    fn node(node_id: &str, version: u64) -> wire::Node {
        wire::Node {
            node_id: node_id.into(),
            build: "0.1.0".into(),
            connected: true,
            persisted: true,
            version: Some(sync::Version { store_id: "s".into(), number: version }),
            ..wire::Node::default()
        }
    }

    #[test]
    fn nodes_that_lag_or_refuse_stand_out() {
        let rejection =
            sync::Rejection { subject: "tool `a`".into(), rule: "schema".into(), reason: "too deep".into() };
        let nodes = [
            node("a", 7),
            wire::Node { labels: [("zone".to_owned(), "1".to_owned())].into(), ..node("b", 5) },
            wire::Node { rejections: vec![rejection], ..node("c", 6) },
            wire::Node { persisted: false, ..node("d", 7) },
            wire::Node { connected: false, ..node("e", 0) },
        ];
        let nodes = Nodes { latest_version: 7, nodes: nodes.into_iter().map(Node::from).collect() };
        insta::assert_snapshot!(nodes.table());
    }
}
