//! A client that registers, changes and removes upstreams of its own, by every way there is.
//!
//! Nobody else writes its domains, so it knows what each is to be. A change that is in doubt may still be made
//! later, so its domain is left alone from then on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Fleet;
use super::admin::Admin;
use super::history::{Ledger, Outcome, State};
use super::roster::Roster;
use super::seed::Seed;
use crate::harness::{PATIENCE, http};

/// Domains that a writer has at most, so that the registry stays small however long it writes.
const MOST: usize = 6;
/// Between a change that failed and the next one.
const BACK_OFF: Duration = Duration::from_millis(50);

pub(super) struct Writer {
    name: String,
    seed: Seed,
    roster: Arc<Roster>,
    admin: Admin,
    upstream: String,
    ledger: Arc<Ledger>,
    through_nodes_only: bool,
    /// What is there, with its description.
    own: BTreeMap<String, String>,
    asked: usize,
}

/// The ways to a change.
enum Way {
    /// REST registration through a node.
    Node,
    /// The admin API.
    Admin,
    /// An operator's command.
    Command,
}

impl Writer {
    pub(super) fn new(number: usize, fleet: &Fleet, ledger: Arc<Ledger>, through_nodes_only: bool) -> Self {
        Self {
            name: format!("w{number}"),
            seed: fleet.seed.fork(1 + u64::try_from(number).expect("a small number")),
            roster: Arc::clone(&fleet.roster),
            admin: Admin::new(fleet.roster.admin()),
            upstream: fleet.upstream.url(),
            ledger,
            through_nodes_only,
            own: BTreeMap::new(),
            asked: 0,
        }
    }

    /// Writes until the plan is fulfilled or it is told to stop.
    pub(super) async fn run(mut self, changes: usize, issued: Arc<AtomicUsize>, stop: CancellationToken) {
        while !stop.is_cancelled() && issued.fetch_add(1, Ordering::Relaxed) < changes {
            self.asked += 1;
            let (domain, after) = self.choose();
            let before = self.own.contains_key(&domain);
            self.ledger.asks(&domain, &after);
            let outcome = self.ask(&domain, before, &after).await;
            let was_confirmed = self.ledger.answered(&domain, &after, outcome);
            match after {
                Some(description) if was_confirmed => self.own.insert(domain, description),
                _ => self.own.remove(&domain),
            };
            if !was_confirmed {
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }

    /// The next change: which domain, and what it is to be.
    fn choose(&mut self) -> (String, State) {
        let description = Some(format!("change {} of {}", self.asked, self.name));
        let index = self.seed.below(MOST);
        match self.own.keys().nth(index).cloned() {
            None => (format!("{}_{}", self.name, self.asked), description),
            Some(domain) if self.seed.below(2) == 0 => (domain, None),
            Some(domain) => (domain, description),
        }
    }

    async fn ask(&mut self, domain: &str, before: bool, after: &State) -> Outcome {
        let way = match self.seed.below(20) {
            _ if self.through_nodes_only => Way::Node,
            0 => Way::Command,
            1..=5 => Way::Admin,
            _ => Way::Node,
        };
        let asking = async {
            match way {
                Way::Node => self.through_a_node(domain, after).await,
                Way::Admin => self.admin.change(domain, before, after, &self.upstream).await,
                Way::Command => self.by_command(domain, before, after).await,
            }
        };
        let answer = tokio::time::timeout(PATIENCE, asking).await;
        answer.unwrap_or_else(|_| Outcome::InDoubt("no answer in time".to_owned()))
    }

    async fn through_a_node(&mut self, domain: &str, after: &State) -> Outcome {
        let first = self.seed.below(self.roster.len());
        let Some((index, station)) = self.roster.ready_from(first).await else {
            return Outcome::InDoubt("no node was ready".to_owned());
        };
        let answer = match after {
            Some(description) => {
                let body = json!({"domain": domain, "url": self.upstream, "description": description});
                http(&station.url, "POST", "/registry/servers", Some(body)).await
            }
            None => http(&station.url, "DELETE", &format!("/registry/servers/{domain}"), None).await,
        };
        match answer {
            Some((200, _)) => Outcome::Confirmed,
            Some((503 | 504, body)) => Outcome::InDoubt(format!("node-{index}: {body}")),
            None => Outcome::InDoubt(format!("node-{index}: the connection broke off")),
            Some((code, body)) => Outcome::Refused(format!("node-{index}: {code} {body}")),
        }
    }

    async fn by_command(&self, domain: &str, before: bool, after: &State) -> Outcome {
        let mut arguments = vec!["upstream"];
        match after {
            Some(description) if before => {
                arguments.extend(["update", domain, "--description", description]);
            }
            Some(description) => {
                arguments.extend(["add", domain, &self.upstream, "--description", description]);
            }
            None => arguments.extend(["remove", domain, "--yes"]),
        }
        match self.roster.operator(&arguments).await {
            (0, ..) => Outcome::Confirmed,
            (3, _, said) => Outcome::InDoubt(format!("command: {said}")),
            // Committed, and not published in time.
            (1, _, said) if said.contains("is uncertain") => Outcome::InDoubt(format!("command: {said}")),
            (code, _, said) => Outcome::Refused(format!("command: {code} {said}")),
        }
    }
}
