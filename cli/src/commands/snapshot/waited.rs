//! How far the fleet is with a version that is waited for.

use serde::Serialize;
use toolplane_proto::admin as wire;

use super::view::reasons;
use crate::commands::upstream::counted;
use crate::exit::Failure;
use crate::output::Table;

/// How far the fleet is.
#[derive(Debug, Serialize)]
pub(super) struct Waited {
    reached: bool,
    version: u64,
    connected: u32,
    serving: u32,
    required: u32,
    behind: Vec<Behind>,
    held_back: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<Held>,
}

/// The rollout that keeps nodes from the version.
#[derive(Debug, Serialize)]
struct Held {
    label: String,
    value: String,
    baseline: u64,
}

#[derive(Debug, Serialize)]
struct Behind {
    node_id: String,
    version: u64,
    rejections: Vec<String>,
}

impl From<wire::WaitForVersionResponse> for Waited {
    fn from(answer: wire::WaitForVersionResponse) -> Self {
        let wire::WaitForVersionResponse {
            reached,
            done: _,
            version,
            connected,
            serving,
            required,
            behind,
            held_back,
            rollout,
        } = answer;
        let rollout = rollout.map(|wire::Rollout { label, value, baseline, .. }| Held {
            label,
            value,
            baseline: baseline.unwrap_or_default().number,
        });
        let behind = behind.into_iter().map(|wire::WaitingNode { node_id, version, rejections }| Behind {
            node_id,
            version: version.map_or(0, |version| version.number),
            rejections: reasons(rejections),
        });
        Self { reached, version, connected, serving, required, behind: behind.collect(), held_back, rollout }
    }
}

impl Waited {
    /// One line on how far it is.
    pub(super) fn line(&self) -> String {
        let Self { version, connected, serving, required, .. } = self;
        let line =
            format!("v{version}: {serving} of {} serve it, {required} have to", counted_nodes(*connected));
        line + &self.held().map(|held| format!("; {held}")).unwrap_or_default()
    }

    /// Who is not waited for.
    fn held(&self) -> Option<String> {
        let Held { label, value, baseline } = self.rollout.as_ref()?;
        let nodes = counted_nodes(self.held_back);
        Some(format!("a rollout to `{label}={value}` holds {nodes} back at v{baseline}"))
    }

    /// The nodes that do not serve it.
    pub(super) fn table(&self) -> String {
        let mut table = Table::new(&["NODE", "SERVES", "REFUSED"]);
        for node in &self.behind {
            let version = if node.version == 0 { "–".to_owned() } else { format!("v{}", node.version) };
            table.row([node.node_id.clone(), version, node.rejections.join("; ")]);
        }
        let nothing = match self.connected {
            0 if self.held_back > 0 => "no canary is connected".to_owned(),
            0 => "no node is connected".to_owned(),
            _ if self.rollout.is_some() => {
                format!("every canary serves v{} or a later version", self.version)
            }
            _ => format!("every node serves v{} or a later version", self.version),
        };
        table.render(&nothing) + &self.held().map(|held| held + "\n").unwrap_or_default()
    }

    /// Whether that is what was waited for.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        if self.reached {
            return Ok(());
        }
        Err(Failure::failed(format!("v{} is not served by enough nodes", self.version))
            .hint("the others go on with what they have; `toolplane node list` shows them all"))
    }
}

fn counted_nodes(number: u32) -> String {
    counted(usize::try_from(number).unwrap_or(usize::MAX), "node")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::snapshot::samples::{rejection, version};

    #[test]
    fn a_wait_tells_how_far_it_is_and_fails_when_that_is_not_enough() {
        let answer = wire::WaitForVersionResponse {
            version: 12,
            connected: 3,
            serving: 1,
            required: 3,
            behind: vec![
                wire::WaitingNode {
                    node_id: "edge-7".into(),
                    version: Some(version(11)),
                    rejections: vec![rejection()],
                },
                wire::WaitingNode { node_id: "edge-8".into(), version: None, rejections: Vec::new() },
            ],
            ..wire::WaitForVersionResponse::default()
        };
        let state = Waited::from(answer.clone());
        assert_eq!(state.line(), "v12: 1 of 3 nodes serve it, 3 have to");
        insta::assert_snapshot!("wait_table", state.table());
        assert!(state.verdict().is_err());
        let reached = wire::WaitForVersionResponse { reached: true, behind: Vec::new(), ..answer.clone() };
        let reached = Waited::from(reached);
        assert_eq!(reached.table(), "every node serves v12 or a later version\n");
        reached.verdict().unwrap();
        let rollout = wire::Rollout {
            label: "ring".into(),
            value: "canary".into(),
            baseline: Some(version(11)),
            ..wire::Rollout::default()
        };
        let held = wire::WaitForVersionResponse {
            held_back: 2,
            rollout: Some(rollout),
            reached: true,
            behind: Vec::new(),
            ..answer
        };
        let held = Waited::from(held);
        assert_eq!(
            held.table(),
            "every canary serves v12 or a later version\na rollout to `ring=canary` holds 2 nodes back at v11\n"
        );
    }
}
