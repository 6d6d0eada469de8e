//! How far the fleet is with a version, and waiting for it.
//!
//! [`progress`] is pure. [`Wait`] asks again whenever a node of this control plane comes, goes or answers; nodes of
//! other control planes are known from the store alone, so while there are any it also looks there now and then.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use toolplane_registry::Version;

use super::nodes::Nodes;
use crate::rollout::Rollout;
use crate::store::history::Refusal;
use crate::store::{self, NodeRecord};

/// How often the store is read while nodes hang on other control planes.
const ELSEWHERE_INTERVAL: Duration = Duration::from_millis(500);

/// How often the store is read at most while nodes answer one after the other.
const PACE: Duration = Duration::from_millis(50);

/// The state of the fleet with regard to one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What it comes to.
    pub outcome: Outcome,
    /// Nodes that are connected.
    pub connected: usize,
    /// How many of them serve the version or a later one.
    pub serving: usize,
    /// How many have to.
    pub required: usize,
    /// The others, by id.
    pub behind: Vec<NodeRecord>,
    /// Connected nodes that a rollout keeps from the version: they count as if they were not there.
    pub held_back: usize,
    /// The rollout that does so; absent where none keeps anybody from this version.
    pub rollout: Option<Rollout>,
}

/// Whether there is anything left to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Enough nodes serve it.
    Reached,
    /// Some have not answered yet.
    Pending,
    /// Too many have refused it.
    Refused,
}

/// Waits until enough nodes serve a version.
#[derive(Debug)]
pub struct Wait {
    nodes: Nodes,
    target: Version,
    share: f64,
    deadline: Instant,
    changes: watch::Receiver<()>,
    last: Option<Progress>,
    ended: bool,
}

/// Whether a rollout keeps a node from a version that it does not serve.
pub(super) fn is_held_back(node: &NodeRecord, rollout: &Rollout, target: &Version) -> bool {
    rollout.holds_back(&node.labels, target.number()) && !serves(&node.version, target)
}

/// What the records of nodes say about a version. `refusals` are those of that version.
pub fn progress(
    nodes: Vec<NodeRecord>,
    refusals: &[Refusal],
    rollout: Option<&Rollout>,
    target: &Version,
    share: f64,
) -> Progress {
    let rollout = rollout.filter(|rollout| rollout.baseline < target.number());
    let held_back = |node: &NodeRecord| rollout.is_some_and(|rollout| is_held_back(node, rollout, target));
    let connected = nodes.into_iter().filter(|node| node.disconnected_at.is_none());
    let (held_back, connected): (Vec<NodeRecord>, Vec<NodeRecord>) = connected.partition(held_back);
    let total = connected.len();
    let behind: Vec<NodeRecord> =
        connected.into_iter().filter(|node| !serves(&node.version, target)).collect();
    let serving = total - behind.len();
    let refused = behind
        .iter()
        .filter(|node| {
            let said_no = |refusal: &&Refusal| refusal.node_id == node.id && refusal.at >= node.connected_at;
            refusals.iter().any(|refusal| said_no(&refusal))
        })
        .count();
    let required = required(total, share);
    let outcome = if serving >= required {
        Outcome::Reached
    } else if total - refused < required {
        Outcome::Refused
    } else {
        Outcome::Pending
    };
    let held_back = held_back.len();
    Progress { outcome, connected: total, serving, required, behind, held_back, rollout: rollout.cloned() }
}

pub(super) fn serves(held: &Version, target: &Version) -> bool {
    held.store_id() == target.store_id() && held.number() >= target.number()
}

/// A share of the nodes, rounded up: with any node at all, at least one.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a fleet is far smaller than 2^52 nodes, and the result lies between 0 and its size"
)]
fn required(total: usize, share: f64) -> usize {
    // A hair less, so that 0.1 of 30 nodes is 3 and not 4.
    let exact = total as f64 * share - 1e-9;
    (exact.ceil().max(0.0) as usize).clamp(usize::from(total > 0), total)
}

// ---- Wait ----

impl Wait {
    /// Begins to wait; `share` lies above 0 and at most at 1.
    pub fn new(nodes: Nodes, target: Version, share: f64, deadline: Instant) -> Self {
        let changes = nodes.changes();
        Self { nodes, target, share, deadline, changes, last: None, ended: false }
    }

    /// The next state that differs from the one before, with whether it is the last; `None` after that.
    pub async fn next(&mut self) -> Result<Option<(Progress, bool)>, store::Error> {
        if self.ended {
            return Ok(None);
        }
        loop {
            // Before the records are read: what changes after that is a reason to read them again.
            self.changes.mark_unchanged();
            let (progress, elsewhere) = self.nodes.progress(&self.target, self.share).await?;
            let (read, is_enough) = (Instant::now(), Self::enough(&progress));
            let late = read >= self.deadline;
            self.ended = late || progress.outcome != Outcome::Pending;
            if self.ended || self.last.as_ref() != Some(&progress) {
                self.last = Some(progress.clone());
                return Ok(Some((progress, self.ended)));
            }
            tokio::select! {
                // The sender lives as long as `nodes` does.
                _ = self.changes.changed() => {}
                () = tokio::time::sleep_until(self.deadline) => {}
                () = tokio::time::sleep(ELSEWHERE_INTERVAL), if elsewhere => {}
            }
            let next = (read + PACE).min(self.deadline);
            // Many nodes answer at once: only what ends the wait is worth a reading of its own.
            while !is_enough(&self.nodes, &self.target) && Instant::now() < next {
                tokio::select! {
                    _ = self.changes.changed() => {}
                    () = tokio::time::sleep_until(next) => {}
                }
            }
        }
    }

    /// Tells from what is known here alone whether enough of those that were behind serve the version by now.
    fn enough(progress: &Progress) -> impl Fn(&Nodes, &Version) -> bool + use<> {
        let behind: Vec<String> = progress.behind.iter().map(|node| node.id.clone()).collect();
        let missing = progress.required.saturating_sub(progress.serving);
        move |nodes, target| nodes.serving(&behind, target) >= missing
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::rollout::Canary;

    fn node(id: &str, number: u64) -> NodeRecord {
        NodeRecord { version: Version::new("s", number), ..NodeRecord::silent(id, "here", 1) }
    }

    fn refusal(node_id: &str, at: i64) -> Refusal {
        Refusal { number: 7, node_id: node_id.to_owned(), at, rejections: Vec::new() }
    }

    #[test]
    fn the_fleet_is_judged_by_who_is_connected_and_what_it_serves() {
        use Outcome::{Pending, Reached, Refused};
        let away = NodeRecord { disconnected_at: Some(11), ..node("away", 1) };
        let other_store = NodeRecord { version: Version::new("other", 9), ..node("other", 9) };
        let table = [
            (vec![], vec![], 1.0, (Reached, 0, 0)),
            (vec![away.clone()], vec![], 1.0, (Reached, 0, 0)),
            (vec![node("a", 7), node("b", 8), away], vec![], 1.0, (Reached, 2, 2)),
            (vec![node("a", 7), node("b", 6)], vec![], 1.0, (Pending, 1, 2)),
            (vec![node("a", 7), node("b", 6)], vec![], 0.5, (Reached, 1, 1)),
            (vec![node("a", 7), node("b", 6)], vec![], 0.001, (Reached, 1, 1)),
            (vec![node("a", 6)], vec![], 0.001, (Pending, 0, 1)),
            (vec![other_store], vec![], 1.0, (Pending, 0, 1)),
            (vec![node("a", 7), node("b", 6)], vec![refusal("b", 12)], 1.0, (Refused, 1, 2)),
            // Since then it has connected again, maybe as another build.
            (vec![node("a", 7), node("b", 6)], vec![refusal("b", 9)], 1.0, (Pending, 1, 2)),
            // It came round, or went on to something later.
            (vec![node("a", 7), node("b", 8)], vec![refusal("b", 12)], 1.0, (Reached, 2, 2)),
            (vec![node("a", 6), node("b", 6)], vec![refusal("b", 12)], 0.5, (Pending, 0, 1)),
        ];
        for (nodes, refusals, share, expected) in table {
            let told = progress(nodes.clone(), &refusals, None, &Version::new("s", 7), share);
            assert_eq!((told.outcome, told.serving, told.required), expected, "{share} of {nodes:?}");
        }
    }

    #[test]
    fn nodes_that_a_rollout_holds_back_are_not_waited_for() {
        use Outcome::{Pending, Reached, Refused};
        let rollout = |baseline| Rollout {
            etag: "e".to_owned(),
            canary: Canary::new("ring", "canary").unwrap(),
            baseline,
            actor: String::new(),
            started_at: 0,
            upstreams: 0,
        };
        let labels = BTreeMap::from([("ring".to_owned(), "canary".to_owned())]);
        let canary = |id, number| NodeRecord { labels: labels.clone(), ..node(id, number) };
        let table = [
            (5, vec![canary("a", 7), node("b", 5)], vec![], (Reached, 1, 1, 1)),
            (5, vec![canary("a", 6), node("b", 5), node("c", 4)], vec![], (Pending, 0, 1, 2)),
            (5, vec![canary("a", 6), node("b", 5)], vec![refusal("a", 12)], (Refused, 0, 1, 1)),
            // There is nobody who could serve it.
            (5, vec![node("b", 5)], vec![], (Reached, 0, 0, 1)),
            // It was a canary before.
            (5, vec![node("b", 8)], vec![], (Reached, 1, 1, 0)),
            // The baseline and what is before it is for everybody.
            (7, vec![canary("a", 7), node("b", 5)], vec![], (Pending, 1, 2, 0)),
        ];
        for (baseline, nodes, refusals, expected) in table {
            let target = Version::new("s", 7);
            let told = progress(nodes.clone(), &refusals, Some(&rollout(baseline)), &target, 1.0);
            let got = (told.outcome, told.serving, told.required, told.held_back);
            assert_eq!(got, expected, "baseline {baseline}, {nodes:?}");
            assert_eq!(told.rollout.is_some(), baseline < 7);
        }
    }

    #[test]
    fn a_share_is_rounded_up_but_not_by_the_errors_of_floating_point() {
        let cases = [(30, 0.1, 3), (3, 0.5, 2), (10, 1.0, 10), (1, 0.2, 1), (0, 1.0, 0), (7, 0.99, 7)];
        for (total, share, expected) in cases {
            assert_eq!(required(total, share), expected, "{share} of {total}");
        }
    }
}
