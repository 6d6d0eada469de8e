//! Waiting until the fleet serves a version.

use std::time::Duration;

use toolplane_proto::admin as wire;

use super::counted;
use crate::client::Client;
use crate::exit::Failure;
use crate::output::{self, Progress};

/// Waits until every connected node serves the version, or says which do not.
pub(super) async fn fleet(client: &Client, version: u64, timeout: Duration) -> Result<(), Failure> {
    let request = wire::WaitForVersionRequest {
        version,
        share: 0.0,
        timeout: prost_types::Duration::try_from(timeout).ok(),
    };
    let mut answers = client.snapshots().wait_for_version(request).await?.into_inner();
    let mut progress = Progress::default();
    while let Some(answer) = answers.message().await? {
        if !answer.done {
            progress.show(answer.serving, answer.required, &state(&answer));
            continue;
        }
        drop(progress);
        return finished(&answer);
    }
    Err(Failure::failed("the control plane stopped telling which nodes serve the result")
        .hint("the changes were made; see `toolplane node list`"))
}

fn finished(answer: &wire::WaitForVersionResponse) -> Result<(), Failure> {
    if answer.reached {
        output::say(&state(answer));
        return Ok(());
    }
    let mut failure = Failure::failed(format!("{}, not by all", state(answer)));
    failure.messages.extend(answer.behind.iter().map(|node| {
        let serves = node.version.as_ref().map_or(0, |version| version.number);
        let reasons: Vec<String> =
            node.rejections.iter().map(|one| format!("{}: {}", one.subject, one.reason)).collect();
        let refused = if reasons.is_empty() {
            String::new()
        } else {
            format!(" and refused a newer one: {}", reasons.join("; "))
        };
        format!("node `{}` serves v{serves}{refused}", node.node_id)
    }));
    Err(failure.hint("the changes were made; see `toolplane node list`"))
}

fn state(answer: &wire::WaitForVersionResponse) -> String {
    let wire::WaitForVersionResponse { version, connected, serving, held_back, .. } = answer;
    let of = |nodes: u32, what| counted(usize::try_from(nodes).unwrap_or(usize::MAX), what);
    let held_back = match held_back {
        0 => String::new(),
        number => format!("; a rollout holds {} back", of(*number, "node")),
    };
    let served = match connected {
        0 => format!("no node is connected that could serve v{version}"),
        connected => {
            let nodes = of(*connected, if answer.rollout.is_some() { "canary node" } else { "node" });
            format!("v{version} is served by {serving} of {nodes}")
        }
    };
    served + &held_back
}

#[cfg(test)]
mod tests {
    use toolplane_proto::sync;

    use super::*;

    fn answer(serving: u32, connected: u32) -> wire::WaitForVersionResponse {
        wire::WaitForVersionResponse {
            done: true,
            version: 7,
            serving,
            connected,
            required: connected,
            ..wire::WaitForVersionResponse::default()
        }
    }

    #[test]
    fn a_fleet_that_does_not_follow_is_told_node_by_node() {
        let rejection =
            sync::Rejection { subject: "tool `a`".into(), rule: "schema".into(), reason: "bad".into() };
        let version = |number| Some(sync::Version { store_id: "s".into(), number });
        let behind = vec![
            wire::WaitingNode { node_id: "a".into(), version: version(6), rejections: Vec::new() },
            wire::WaitingNode { node_id: "b".into(), version: version(5), rejections: vec![rejection] },
        ];
        let answer = wire::WaitForVersionResponse { behind, ..answer(1, 3) };
        let failure = finished(&answer).unwrap_err();
        assert_eq!(
            failure.messages,
            [
                "v7 is served by 1 of 3 nodes, not by all",
                "node `a` serves v6",
                "node `b` serves v5 and refused a newer one: tool `a`: bad"
            ]
        );
    }

    #[test]
    fn a_fleet_without_nodes_is_no_failure() {
        let answer = wire::WaitForVersionResponse { reached: true, ..answer(0, 0) };
        assert!(finished(&answer).is_ok());
        assert_eq!(state(&answer), "no node is connected that could serve v7");
    }
}
