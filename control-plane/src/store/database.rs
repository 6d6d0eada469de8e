//! One face for both drivers: values to bind, statements to run, transactions.
//!
//! Owns the choice between the pools. An enum rather than a trait or `sqlx::Any`: both backends are known, the
//! statements above are written once, and each driver keeps its own types. Never knows a table.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Sqlite};

use super::migrate::Backend;
use super::{Error, Wakeups, postgres, sqlite};

/// A value to bind; owned, because statements here are small and rare.
pub(super) enum Value {
    Text(String),
    MaybeText(Option<String>),
    Integer(i64),
    MaybeInteger(Option<i64>),
    Flag(bool),
    Bytes(Vec<u8>),
    MaybeBytes(Option<Vec<u8>>),
}

/// A row that can be read from either backend.
pub(super) trait Record:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<R> Record for R where R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

/// What is said differently to the two backends.
pub(super) struct Dialect {
    /// Starts a transaction that sees one state throughout.
    pub(super) begin_read: &'static str,
    /// Starts a transaction that will write.
    pub(super) begin_write: &'static str,
    /// The configuration id of an upstream, held until the transaction ends. Takes the domain.
    pub(super) lock_config_id: &'static str,
    /// Adds tools in one go. Takes the domain, whether they are approved ones, and a JSON list of texts.
    pub(super) insert_tools: &'static str,
    /// The database's time.
    pub(super) now: &'static str,
    /// Domains of upstreams that may be due, held until the transaction ends where they can be. Takes what
    /// [`super::queries::due`] takes, and a limit.
    pub(super) lock_due: &'static str,
    /// Tells other control planes of a version. Takes the number as text.
    pub(super) announce: Option<&'static str>,
}

/// An open database with its schema up to date.
pub(super) enum Database {
    Sqlite(sqlite::Pools),
    Postgres(postgres::Pool),
}

/// A transaction; dropping it without a commit rolls it back.
pub(super) enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    /// And how long a step of it may take.
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>, postgres::Deadline),
}

// ---- Database ----

impl Database {
    pub(super) async fn open(url: &str, timeout: Duration) -> Result<Self, Error> {
        match Backend::of(url)? {
            Backend::Sqlite => Ok(Self::Sqlite(sqlite::open(url).await?)),
            Backend::Postgres => Ok(Self::Postgres(postgres::open(url, timeout).await?)),
        }
    }

    pub(super) async fn read(&self) -> Result<Transaction, Error> {
        match self {
            Self::Sqlite(pools) => sqlite::begin(&pools.readers, sqlite::DIALECT.begin_read).await,
            Self::Postgres(pool) => postgres::begin(pool, postgres::DIALECT.begin_read).await,
        }
    }

    pub(super) async fn write(&self) -> Result<Transaction, Error> {
        match self {
            Self::Sqlite(pools) => sqlite::begin(&pools.writer, sqlite::DIALECT.begin_write).await,
            Self::Postgres(pool) => postgres::begin(pool, postgres::DIALECT.begin_write).await,
        }
    }

    pub(super) fn wakeups(&self) -> Box<dyn Wakeups> {
        match self {
            Self::Sqlite(_) => Box::new(sqlite::Silence),
            Self::Postgres(pool) => Box::new(postgres::announcements(pool)),
        }
    }

    /// Runs one statement in a transaction of its own.
    pub(super) async fn execute(&self, sql: &'static str, values: &[Value]) -> Result<u64, Error> {
        match self {
            Self::Sqlite(pools) => sqlite::execute(&pools.writer, sql, values).await,
            Self::Postgres(pool) => postgres::execute_alone(pool, sql, values).await,
        }
    }

    /// Reads rows with one statement.
    pub(super) async fn fetch<R: Record>(
        &self,
        sql: &'static str,
        values: &[Value],
    ) -> Result<Vec<R>, Error> {
        match self {
            Self::Sqlite(pools) => sqlite::fetch(&pools.readers, sql, values).await,
            Self::Postgres(pool) => postgres::fetch_alone(pool, sql, values).await,
        }
    }
}

// ---- Transaction ----

impl Transaction {
    pub(super) fn dialect(&self) -> &'static Dialect {
        match self {
            Self::Sqlite(_) => &sqlite::DIALECT,
            Self::Postgres(..) => &postgres::DIALECT,
        }
    }

    /// Runs a statement and tells how many rows it touched.
    pub(super) async fn execute(&mut self, sql: &'static str, values: &[Value]) -> Result<u64, Error> {
        match self {
            Self::Sqlite(transaction) => sqlite::execute(&mut **transaction, sql, values).await,
            Self::Postgres(transaction, deadline) => {
                postgres::execute(&mut **transaction, *deadline, sql, values).await
            }
        }
    }

    pub(super) async fn fetch<R: Record>(
        &mut self,
        sql: &'static str,
        values: &[Value],
    ) -> Result<Vec<R>, Error> {
        match self {
            Self::Sqlite(transaction) => sqlite::fetch(&mut **transaction, sql, values).await,
            Self::Postgres(transaction, deadline) => {
                postgres::fetch(&mut **transaction, *deadline, sql, values).await
            }
        }
    }

    /// The one value of the first row, if there is a row.
    pub(super) async fn fetch_text(
        &mut self,
        sql: &'static str,
        values: &[Value],
    ) -> Result<Option<String>, Error> {
        Ok(self.fetch::<(String,)>(sql, values).await?.pop().map(|(text,)| text))
    }

    pub(super) async fn commit(self) -> Result<(), Error> {
        match self {
            Self::Sqlite(transaction) => sqlite::commit(transaction).await,
            Self::Postgres(transaction, deadline) => postgres::commit(transaction, deadline).await,
        }
    }
}

// ---- Value ----

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::MaybeText(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::MaybeInteger(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Option<Vec<u8>>> for Value {
    fn from(bytes: Option<Vec<u8>>) -> Self {
        Self::MaybeBytes(bytes)
    }
}
