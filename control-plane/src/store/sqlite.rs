//! SQLite: the file, its pools, and its dialect.
//!
//! One connection writes and takes the write lock when it begins, so that a commit never fails half way for a
//! lock; several others read. Several processes may open one file, which is what a restart that overlaps does.

mod codes;
mod wakeups;

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteExecutor, SqliteJournalMode, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Arguments as _, ConnectOptions as _, Connection as _, Sqlite, SqlitePool};

use super::Error;
use super::database::{Dialect, Record, Transaction, Value};
use super::migrate::{Backend, Report, bring_up_to_date};
use super::queries::due;

pub(super) use wakeups::Silence;

const READERS: u32 = 4;
/// How long a statement waits for another process to finish writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(15);

pub(super) const DIALECT: Dialect = Dialect {
    begin_read: "BEGIN",
    begin_write: "BEGIN IMMEDIATE",
    lock_config_id: "SELECT config_id FROM upstreams WHERE domain = $1",
    insert_tools: "INSERT INTO tools (domain, approved, position, definition) \
                   SELECT $1, $2, item.key, item.value FROM json_each($3) AS item",
    now: "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    lock_due: concat!("SELECT u.domain ", due!(), " ORDER BY COALESCE(l.attempt_at, 0), u.domain LIMIT $5"),
    announce: None,
};

/// The connections to one file.
pub(super) struct Pools {
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
}

pub(super) async fn open(url: &str) -> Result<Pools, Error> {
    let options = parse(url)?;
    bring_file_up_to_date(&options).await?;
    let pool = |size| {
        // Connections to a file do not go stale.
        SqlitePoolOptions::new()
            .max_connections(size)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            // SQLite ends a transaction by itself where the disk is full, and the driver then takes the connection
            // for one inside a transaction for ever. Such a connection cannot begin and is replaced.
            .before_acquire(|connection, _| {
                Box::pin(async move {
                    Ok(match connection.begin_with("BEGIN").await {
                        Ok(transaction) => transaction.rollback().await.is_ok(),
                        Err(_) => false,
                    })
                })
            })
    };
    let readers = options.clone().pragma("query_only", "on");
    Ok(Pools {
        writer: pool(1).connect_lazy_with(options),
        readers: pool(READERS).connect_lazy_with(readers),
    })
}

pub(super) async fn migrate(url: &str) -> Result<Report, Error> {
    bring_file_up_to_date(&parse(url)?).await
}

pub(super) async fn begin(pool: &SqlitePool, statement: &'static str) -> Result<Transaction, Error> {
    Ok(Transaction::Sqlite(pool.begin_with(statement).await.map_err(classify)?))
}

pub(super) async fn commit(transaction: sqlx::Transaction<'static, Sqlite>) -> Result<(), Error> {
    transaction.commit().await.map_err(classify)
}

pub(super) async fn execute(
    executor: impl SqliteExecutor<'_>,
    sql: &'static str,
    values: &[Value],
) -> Result<u64, Error> {
    let done = sqlx::query_with(sql, arguments(values)?).execute(executor).await.map_err(classify)?;
    Ok(done.rows_affected())
}

pub(super) async fn fetch<R: Record>(
    executor: impl SqliteExecutor<'_>,
    sql: &'static str,
    values: &[Value],
) -> Result<Vec<R>, Error> {
    sqlx::query_as_with(sql, arguments(values)?).fetch_all(executor).await.map_err(classify)
}

fn classify(error: sqlx::Error) -> Error {
    Error::classify(error, codes::kind)
}

fn arguments(values: &[Value]) -> Result<SqliteArguments, Error> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        match value {
            Value::Text(text) => arguments.add(text),
            Value::MaybeText(text) => arguments.add(text),
            Value::Integer(number) => arguments.add(number),
            Value::MaybeInteger(number) => arguments.add(number),
            Value::Flag(flag) => arguments.add(flag),
            Value::Bytes(bytes) => arguments.add(bytes),
            Value::MaybeBytes(bytes) => arguments.add(bytes),
        }
        .map_err(|error| Error::Driver(sqlx::Error::Encode(error)))?;
    }
    Ok(arguments)
}

// ---- opening ----

fn parse(url: &str) -> Result<SqliteConnectOptions, Error> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|error| Error::Url(error.to_string()))?
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // What was confirmed has to survive a power cut, not only a crash of the process.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT);
    if is_in_memory(&options) {
        return Err(Error::Url("an in-memory database keeps nothing: name a file".to_owned()));
    }
    Ok(options)
}

fn is_in_memory(options: &SqliteConnectOptions) -> bool {
    let path = options.get_filename().as_os_str();
    path.is_empty()
        || path.to_string_lossy().contains(":memory:")
        || path.to_string_lossy().starts_with("file:")
}

async fn bring_file_up_to_date(options: &SqliteConnectOptions) -> Result<Report, Error> {
    let path = options.get_filename().to_owned();
    let unreachable = |reason: String| Error::Unreachable { location: path.display().to_string(), reason };
    let prepared = path.clone();
    let lock = tokio::task::spawn_blocking(move || prepare_file(&prepared))
        .await
        .map_err(|error| unreachable(error.to_string()))?
        .map_err(|error| unreachable(error.to_string()))?;
    let mut connection = options.connect().await.map_err(|error| unreachable(error.to_string()))?;
    let mut transaction = connection.begin_with(DIALECT.begin_write).await.map_err(classify)?;
    let report = bring_up_to_date(&mut *transaction, Backend::Sqlite).await?;
    transaction.commit().await.map_err(classify)?;
    connection.close().await.map_err(classify)?;
    drop(lock);
    Ok(report)
}

/// Creates the file where it is missing, and waits until no other process is about to prepare it.
///
/// The lock is on a file beside the database: closing any descriptor of the database itself would take away the
/// locks that SQLite holds on it, and SQLite's own locks do not cover the switch to WAL.
fn prepare_file(path: &Path) -> io::Result<File> {
    let lock = private().create(true).truncate(false).open(lock_path(path))?;
    lock.lock()?;
    match private().create_new(true).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(lock),
    }
}

/// Files only their owner can read; SQLite gives the files it makes beside the database the same mode.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".lock");
    PathBuf::from(name)
}
