//! A database in memory, in place of one that runs threads of its own.
//!
//! Owns what the sync protocol asks of a store: heads, registries, wakeups, the records of nodes. Whatever else a
//! store can do is not simulated and fails. Control planes hold a [`Connection`] each, which can be cut.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;
use toolplane_control_plane::rollout::Rollout;
use toolplane_control_plane::snapshots::Published;
use toolplane_control_plane::store::{
    Attempt, AuditEntry, AuditRecord, Change, Claim, Commit, ControlPlane, Error, Expiry, Head, History,
    Millis, NodeRecord, RefreshClaim, Registry, Store, Token, Wakeups, history,
};
use toolplane_registry::{Digest, Domain};

use crate::ledger;
use crate::registries::{self, Generator};
use crate::world::World;

/// The database that control planes share.
#[derive(Debug)]
pub(crate) struct Database {
    world: World,
    state: Mutex<State>,
    commits: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    /// Every version, oldest first.
    versions: Vec<Arc<Published>>,
    stores: u32,
    nodes: BTreeMap<String, NodeRecord>,
}

/// One control plane's way to the database.
#[derive(Debug)]
pub(crate) struct Connection {
    database: Arc<Database>,
    cut: AtomicBool,
}

#[derive(Debug)]
struct Bell(watch::Receiver<u64>);

// ---- Database ----

impl Database {
    /// A database at its first version.
    pub(crate) fn new(world: World) -> Arc<Self> {
        let first = registries::publish(registries::nothing("store-1"), None);
        let state = State { versions: vec![Arc::clone(&first)], stores: 1, nodes: BTreeMap::new() };
        let database = Arc::new(Self { world, state: Mutex::new(state), commits: watch::Sender::new(0) });
        database.enter(&first);
        database
    }

    /// The newest version.
    pub(crate) fn newest(&self) -> Arc<Published> {
        Arc::clone(self.lock().versions.last().expect("there is always one"))
    }

    /// The records of nodes.
    pub(crate) fn nodes(&self) -> BTreeMap<String, NodeRecord> {
        self.lock().nodes.clone()
    }

    /// Commits a change by somebody else than the control planes of the simulation.
    pub(crate) fn change(&self, generator: &mut Generator) {
        let mut next = self.newest().registry.clone();
        generator.change(&mut next.upstreams);
        self.append(next);
    }

    /// Brings back what a version before held, under a new number.
    pub(crate) fn roll_back(&self, by: usize) {
        let mut next = self.newest().registry.clone();
        let state = self.lock();
        let index = state.versions.len().saturating_sub(by + 1);
        next.upstreams.clone_from(&state.versions[index].registry.upstreams);
        drop(state);
        self.append(next);
    }

    /// Restores a backup: the newest versions never happened.
    pub(crate) fn restore(&self, lost: usize) {
        let mut state = self.lock();
        let kept = state.versions.len().saturating_sub(lost).max(1);
        state.versions.truncate(kept);
        drop(state);
        self.ring();
    }

    fn append(&self, mut next: Registry) -> Head {
        next.head.number += 1;
        let head = next.head.clone();
        let next = registries::publish(next, Some(&self.newest()));
        self.enter(&next);
        self.lock().versions.push(next);
        self.ring();
        head
    }

    fn enter(&self, published: &Published) {
        let snapshot = &published.snapshot;
        let mut world = self.world.lock();
        world.ledger.published(snapshot.version(), snapshot.digest());
        let (name, short) = (ledger::name(snapshot.version()), snapshot.digest().short(8));
        world.note("database", format!("{name} is {short}, {} tools", snapshot.tool_count()));
    }

    fn ring(&self) {
        self.commits.send_modify(|commits| *commits += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ---- Connection ----

impl Connection {
    /// A connection that works.
    pub(crate) fn new(database: &Arc<Database>) -> Arc<Self> {
        Arc::new(Self { database: Arc::clone(database), cut: AtomicBool::new(false) })
    }

    /// Cuts it, or mends it.
    pub(crate) fn set_cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::Relaxed);
        if !cut {
            self.database.ring();
        }
    }

    fn reach(&self) -> Result<MutexGuard<'_, State>, Error> {
        if self.cut.load(Ordering::Relaxed) { Err(unreachable()) } else { Ok(self.database.lock()) }
    }
}

fn unreachable() -> Error {
    Error::Unreachable { location: "database".to_owned(), reason: "it is cut off".to_owned() }
}

fn not_simulated<T>() -> Result<T, Error> {
    Err(Error::Violated("not simulated".to_owned()))
}

/// Whether a record replaces the one that is held.
fn speaks(node: &NodeRecord, claim: Claim, held: &NodeRecord) -> bool {
    let is_same = held.control_plane == node.control_plane && held.stream <= node.stream;
    let is_open = node.disconnected_at.is_none();
    is_same
        || match claim {
            Claim::Opened => true,
            Claim::Late => {
                held.disconnected_at.is_some() || (is_open && held.connected_at <= node.connected_at)
            }
            Claim::Held => {
                let is_over = held.disconnected_at.is_some() || held.connected_at < node.connected_at;
                held.control_plane != node.control_plane && is_open && is_over
            }
        }
}

#[async_trait]
impl Wakeups for Bell {
    async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Store for Connection {
    async fn head(&self) -> Result<Head, Error> {
        drop(self.reach()?);
        Ok(self.database.newest().registry.head.clone())
    }

    async fn load(&self) -> Result<Registry, Error> {
        drop(self.reach()?);
        Ok(self.database.newest().registry.clone())
    }

    async fn load_after(&self, _: &Registry) -> Result<Registry, Error> {
        self.load().await
    }

    async fn commit(&self, commit: &Commit) -> Result<Head, Error> {
        let mut state = self.reach()?;
        let [Change::RenewStore { .. }] = commit.changes.as_slice() else { return not_simulated() };
        // Not the id it was given: that one is random.
        state.stores += 1;
        let store_id = format!("store-{}", state.stores);
        drop(state);
        let mut next = self.database.newest().registry.clone();
        next.head.store_id = store_id;
        Ok(self.database.append(next))
    }

    async fn put_nodes(&self, nodes: &[(NodeRecord, Claim)]) -> Result<(), Error> {
        let mut state = self.reach()?;
        let mut taken = Vec::new();
        for (node, claim) in nodes {
            if state.nodes.get(&node.id).is_none_or(|held| speaks(node, *claim, held)) {
                state.nodes.insert(node.id.clone(), node.clone());
                taken.push(node);
            }
        }
        drop(state);
        for node in taken {
            self.database.check(node);
        }
        Ok(())
    }

    async fn list_nodes(&self) -> Result<Vec<NodeRecord>, Error> {
        Ok(self.reach()?.nodes.values().cloned().collect())
    }

    async fn forget(&self, _: &Expiry, _: u32) -> Result<u64, Error> {
        not_simulated()
    }

    fn wakeups(&self) -> Box<dyn Wakeups> {
        Box::new(Bell(self.database.commits.subscribe()))
    }

    async fn record_attempt(&self, _: &Domain, _: &str, _: Millis, _: &str) -> Result<(), Error> {
        not_simulated()
    }

    async fn record_unchanged(&self, _: &Domain, _: &str, _: &AuditEntry) -> Result<(), Error> {
        not_simulated()
    }

    async fn attempts(&self) -> Result<BTreeMap<Domain, Attempt>, Error> {
        not_simulated()
    }

    async fn insert_token(&self, _: &Token, _: Digest, _: &AuditEntry) -> Result<(), Error> {
        not_simulated()
    }

    async fn find_token(&self, _: Digest) -> Result<Option<Token>, Error> {
        not_simulated()
    }

    async fn list_tokens(&self, _: Option<&str>, _: u32) -> Result<Vec<Token>, Error> {
        not_simulated()
    }

    async fn revoke_token(&self, _: &str, _: Millis, _: &AuditEntry) -> Result<Option<Token>, Error> {
        not_simulated()
    }

    async fn list_audit(&self, _: Option<i64>, _: u32) -> Result<Vec<AuditRecord>, Error> {
        not_simulated()
    }

    async fn renew_lease(&self, _: &str, _: Millis) -> Result<(), Error> {
        not_simulated()
    }

    async fn list_control_planes(&self) -> Result<Vec<ControlPlane>, Error> {
        not_simulated()
    }

    async fn claim_refresh(&self, _: &RefreshClaim) -> Result<Vec<Domain>, Error> {
        not_simulated()
    }

    async fn release_refresh(&self, _: &str) -> Result<(), Error> {
        not_simulated()
    }
}

#[async_trait]
impl History for Connection {
    async fn list_versions(&self, _: Option<u64>, _: u32) -> Result<Vec<history::VersionRecord>, Error> {
        not_simulated()
    }

    async fn load_version(&self, _: u64) -> Result<Option<history::Past>, Error> {
        not_simulated()
    }

    async fn rollout(&self) -> Result<Option<Rollout>, Error> {
        Ok(None)
    }

    async fn load_baseline(&self, _: &str) -> Result<Option<Registry>, Error> {
        Ok(None)
    }

    async fn note_published(&self, _: &Head, _: history::Publication) -> Result<(), Error> {
        not_simulated()
    }

    async fn note_refusal(&self, store_id: &str, refusal: &history::Refusal) -> Result<(), Error> {
        drop(self.reach()?);
        let history::Refusal { number, node_id, rejections, .. } = refusal;
        let wrong = format!("`{node_id}` refused {store_id}/v{number} for good: {rejections:?}");
        self.database.world.check(Err(wrong));
        Ok(())
    }

    async fn prune_versions(&self, _: u32) -> Result<(), Error> {
        not_simulated()
    }
}

impl Database {
    /// What is recorded of a node is what the node served at some time.
    fn check(&self, node: &NodeRecord) {
        if node.digest.is_empty() {
            return;
        }
        let world = self.world.lock();
        let is_true = Digest::from_hex(&node.digest)
            .is_some_and(|digest| world.ledger.has_served(&node.id, &node.version, digest));
        drop(world);
        let name = ledger::name(&node.version);
        self.world.check(if is_true {
            Ok(())
        } else {
            Err(format!("`{}` is on record with {name}, which it never served", node.id))
        });
    }
}
