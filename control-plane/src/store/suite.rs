//! Behaviors that every backend must show; each runs on a SQLite file and on a real Postgres.

mod access;
mod announce;
mod faults;
mod history;
mod load;
mod opening;
mod registry;
mod replicas;
mod request_keys;
mod rollouts;

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use toolplane_registry::upstream::Upstream;
use toolplane_registry::{Domain, RawJson};
use toolplane_seal::Key;
use toolplane_testkit::TestDatabase;

use super::sql::Sql;
use super::{AuditEntry, Change, Commit, Error, Head, Listing, Millis, Store as _};

const NOW: Millis = 1_790_000_000_000;
/// How long a step may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Turns behaviors into one test per backend. A macro, because the test harness wants a function for each.
macro_rules! on_both_backends {
    ($($behavior:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $behavior() {
                super::$behavior(crate::store::suite::Bench::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $behavior() {
                if let Some(bench) = crate::store::suite::Bench::postgres().await {
                    super::$behavior(bench).await;
                }
            })+
        }
    };
}
use on_both_backends;

/// A store in a database of its own.
struct Bench {
    store: Sql,
    key: Arc<Key>,
    database: TestDatabase,
    _keys: TempDir,
}

impl Bench {
    async fn sqlite() -> Self {
        Self::on(TestDatabase::sqlite()).await
    }

    async fn postgres() -> Option<Self> {
        Some(Self::on(TestDatabase::postgres().await?).await)
    }

    async fn on(database: TestDatabase) -> Self {
        let keys = tempfile::tempdir().unwrap();
        let key = Arc::new(Key::load_or_create(&keys.path().join("key")).unwrap());
        let store = Sql::open(database.url(), Arc::clone(&key), TIMEOUT).await.unwrap();
        Self { store, key, database, _keys: keys }
    }

    /// Another control plane on the same database.
    async fn open_again(&self) -> Result<Sql, Error> {
        Sql::open(self.database.url(), Arc::clone(&self.key), TIMEOUT).await
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Head, Error> {
        self.store.commit(&commit(changes)).await
    }

    /// Runs a statement behind the store's back.
    async fn raw(&self, sql: &'static str) {
        self.store.raw(sql).await.unwrap();
    }
}

fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

fn commit(changes: Vec<Change>) -> Commit {
    Commit { changes, audit: vec![entry("upstream.change")], at: NOW }
}

fn entry(action: &'static str) -> AuditEntry {
    AuditEntry {
        actor: "tok_1".to_owned(),
        action,
        subject: "upstream apollo".to_owned(),
        detail: "by hand".to_owned(),
        at: NOW,
    }
}

fn create(name: &str, config_id: &str) -> Change {
    Change::CreateUpstream {
        upstream: Upstream::new(domain(name), "http://127.0.0.1:9/mcp"),
        config_id: config_id.to_owned(),
        listing: None,
    }
}

fn listing(tools: &[&str]) -> Listing {
    Listing {
        attempt_at: NOW,
        success_at: Some(NOW),
        error: String::new(),
        tools: tools.iter().map(|tool| RawJson::parse(tool).unwrap()).collect(),
        approved: None,
        protocol: toolplane_registry::Protocol::Stateless,
    }
}
