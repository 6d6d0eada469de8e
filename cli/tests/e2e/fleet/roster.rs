//! What clients know of a fleet: who was started where. Whether a node is ready they ask the node.

use std::sync::OnceLock;

use tokio::sync::watch;

use crate::harness::{PATIENCE, Setup, http};

/// Nodes and control planes as clients find them.
pub(crate) struct Roster {
    nodes: Vec<watch::Sender<Station>>,
    admin: OnceLock<Admin>,
}

/// How the admin API is reached.
pub(crate) struct Admin {
    pub(crate) addresses: Vec<String>,
    pub(crate) token: String,
}

/// A node, as far as it matters to clients.
#[derive(Debug, Clone)]
pub(crate) struct Station {
    pub(crate) url: String,
    /// Another one with each start.
    pub(crate) life: u32,
    pub(crate) standing: Standing,
}

/// What clients may expect of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is ready and answers everything.
    Up,
    /// It may say that it is not ready; whoever was told that it is gets an answer.
    Draining,
    /// It is going to crash by itself: it is used, and whatever happens there is no failure.
    Doomed,
    /// It is not there: nobody uses it, and what began before is no failure.
    Killed,
}

impl Roster {
    pub(crate) fn new(nodes: usize) -> Self {
        let nobody = || Station { url: String::new(), life: 0, standing: Standing::Killed };
        Self { nodes: (0..nodes).map(|_| watch::Sender::new(nobody())).collect(), admin: OnceLock::new() }
    }

    pub(crate) fn set_admin(&self, addresses: Vec<String>, token: &str) {
        let admin = Admin { addresses, token: token.trim().to_owned() };
        assert!(self.admin.set(admin).is_ok(), "a fleet starts once");
    }

    pub(crate) fn admin(&self) -> &Admin {
        self.admin.get().expect("the fleet was started")
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn started(&self, index: usize, url: String) {
        self.nodes[index].send_modify(|station| {
            *station = Station { url, life: station.life + 1, standing: Standing::Up };
        });
    }

    pub(crate) fn set(&self, index: usize, standing: Standing) {
        self.nodes[index].send_modify(|station| station.standing = standing);
    }

    pub(crate) fn station(&self, index: usize) -> Station {
        self.nodes[index].borrow().clone()
    }

    pub(crate) fn follow(&self, index: usize) -> watch::Receiver<Station> {
        self.nodes[index].subscribe()
    }

    pub(crate) fn url(&self, index: usize) -> String {
        self.station(index).url
    }

    /// A node that says that it is ready, tried in turn from the one given; `None` where nobody does.
    pub(crate) async fn ready_from(&self, first: usize) -> Option<(usize, Station)> {
        for offset in 0..self.nodes.len() {
            let index = (first + offset) % self.nodes.len();
            let station = self.station(index);
            if station.standing != Standing::Killed && is_ready(&station.url).await {
                return Some((index, station));
            }
        }
        None
    }

    /// Runs an operator's command: exit code, stdout, stderr.
    pub(crate) async fn operator(&self, arguments: &[&str]) -> (i32, String, String) {
        let Admin { addresses, token } = self.admin();
        let (command, rest) = arguments.split_first().expect("a command");
        Setup::new(command, std::path::Path::new("/nonexistent"))
            .arguments(rest)
            .set("TOOLPLANE_CONTROL_PLANE_ADDRESS", &addresses.join(","))
            .set("TOOLPLANE_TOKEN", token)
            .output()
            .await
    }
}

/// Whether a node says that it may be sent requests.
pub(crate) async fn is_ready(url: &str) -> bool {
    let answer = tokio::time::timeout(PATIENCE, http(url, "GET", "/readyz", None)).await;
    answer.ok().flatten().is_some_and(|(code, _)| code == 200)
}
