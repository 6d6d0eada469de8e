//! The database with its failures counted: the face that the statements see.
//!
//! Owns nothing but the counting; what is run and how is in [`super::database`].

use std::time::Duration;

use super::database::{self, Dialect, Record, Value};
use super::migrate::Backend;
use super::{Error, Wakeups, postgres};
use crate::metrics::{InUse, Metrics};

/// An open database.
pub(super) struct Database {
    inner: database::Database,
    metrics: Metrics,
}

/// A transaction; dropping it without a commit rolls it back.
pub(super) struct Transaction {
    inner: database::Transaction,
    metrics: Metrics,
}

// ---- Database ----

impl Database {
    pub(super) async fn open(url: &str, timeout: Duration) -> Result<Self, Error> {
        Ok(Self { inner: database::Database::open(url, timeout).await?, metrics: Metrics::new(None) })
    }

    /// Has failures counted and the pools watched from here on.
    pub(super) fn measured(self, metrics: Metrics) -> Self {
        metrics.pools(match &self.inner {
            database::Database::Sqlite(pools) => {
                vec![("writer", in_use(&pools.writer)), ("readers", in_use(&pools.readers))]
            }
            database::Database::Postgres(pool) => vec![("postgres", in_use(postgres::connections(pool)))],
        });
        Self { metrics, ..self }
    }

    pub(super) fn backend(&self) -> Backend {
        match self.inner {
            database::Database::Sqlite(_) => Backend::Sqlite,
            database::Database::Postgres(_) => Backend::Postgres,
        }
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(super) async fn read(&self) -> Result<Transaction, Error> {
        self.begun(self.inner.read().await)
    }

    pub(super) async fn write(&self) -> Result<Transaction, Error> {
        self.begun(self.inner.write().await)
    }

    pub(super) fn wakeups(&self) -> Box<dyn Wakeups> {
        self.inner.wakeups()
    }

    pub(super) async fn execute(&self, sql: &'static str, values: &[Value]) -> Result<u64, Error> {
        noted(&self.metrics, self.inner.execute(sql, values).await)
    }

    pub(super) async fn fetch<R: Record>(
        &self,
        sql: &'static str,
        values: &[Value],
    ) -> Result<Vec<R>, Error> {
        noted(&self.metrics, self.inner.fetch(sql, values).await)
    }

    fn begun(&self, begun: Result<database::Transaction, Error>) -> Result<Transaction, Error> {
        let inner = noted(&self.metrics, begun)?;
        Ok(Transaction { inner, metrics: self.metrics.clone() })
    }
}

// ---- Transaction ----

impl Transaction {
    pub(super) fn dialect(&self) -> &'static Dialect {
        self.inner.dialect()
    }

    pub(super) async fn execute(&mut self, sql: &'static str, values: &[Value]) -> Result<u64, Error> {
        noted(&self.metrics, self.inner.execute(sql, values).await)
    }

    pub(super) async fn fetch<R: Record>(
        &mut self,
        sql: &'static str,
        values: &[Value],
    ) -> Result<Vec<R>, Error> {
        noted(&self.metrics, self.inner.fetch(sql, values).await)
    }

    pub(super) async fn fetch_text(
        &mut self,
        sql: &'static str,
        values: &[Value],
    ) -> Result<Option<String>, Error> {
        noted(&self.metrics, self.inner.fetch_text(sql, values).await)
    }

    pub(super) async fn commit(self) -> Result<(), Error> {
        noted(&self.metrics, self.inner.commit().await)
    }
}

fn noted<T>(metrics: &Metrics, result: Result<T, Error>) -> Result<T, Error> {
    result.inspect_err(|error| metrics.store_error(error))
}

/// Connections of a pool that somebody has.
fn in_use<D: sqlx::Database>(pool: &sqlx::Pool<D>) -> InUse {
    let pool = pool.clone();
    Box::new(move || {
        let idle = u64::try_from(pool.num_idle()).unwrap_or(u64::MAX);
        u64::from(pool.size()).saturating_sub(idle)
    })
}
