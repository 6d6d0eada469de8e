//! Postgres: its pool and its dialect.
//!
//! Several control planes write to one database. A commit locks the head row first, so commits follow each
//! other; whatever else locks rows takes an upstream's row before what hangs on it, so nothing deadlocks.

mod codes;
mod pool;
mod wakeups;

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::migrate::Migrate as _;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgExecutor};
use sqlx::{Arguments as _, ConnectOptions as _, Connection as _, PgConnection, PgPool};

use super::Error;
use super::database::{Dialect, Record, Transaction, Value};
use super::migrate::{Backend, Report, bring_up_to_date, failed};
use super::queries::due;

pub(super) use pool::{Deadline, Pool};
pub(super) use wakeups::Announcements;

/// How long a caller waits for a connection, a new one included.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) const DIALECT: Dialect = Dialect {
    begin_read: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    // Said explicitly, because the database may have another default.
    begin_write: "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
    lock_config_id: "SELECT config_id FROM upstreams WHERE domain = $1 FOR UPDATE",
    insert_tools: "INSERT INTO tools (domain, approved, position, definition) \
                   SELECT $1, $2, item.position - 1, item.definition \
                   FROM json_array_elements_text($3::json) WITH ORDINALITY AS item (definition, position)",
    now: "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint",
    // Several control planes look at once: each takes others.
    lock_due: concat!(
        "SELECT u.domain ",
        due!(),
        " ORDER BY COALESCE(l.attempt_at, 0), u.domain LIMIT $5 FOR UPDATE OF u SKIP LOCKED"
    ),
    // Delivered when, and only if, the transaction commits.
    announce: Some("SELECT pg_notify('toolplane_head', $1)"),
};

pub(super) async fn open(url: &str, timeout: Duration) -> Result<Pool, Error> {
    let options = parse(url)?;
    bring_database_up_to_date(&options).await?;
    Ok(Pool::new(options, timeout))
}

pub(super) async fn migrate(url: &str) -> Result<Report, Error> {
    bring_database_up_to_date(&parse(url)?).await
}

/// For those who count them.
pub(super) fn connections(pool: &Pool) -> &PgPool {
    &pool.connections
}

pub(super) fn announcements(pool: &Pool) -> Announcements {
    Announcements::new((*pool.connections.connect_options()).clone())
}

pub(super) async fn begin(pool: &Pool, statement: &'static str) -> Result<Transaction, Error> {
    let transaction = pool.deadline.keep(pool.connections.begin_with(statement)).await?;
    Ok(Transaction::Postgres(transaction, pool.deadline))
}

pub(super) async fn commit(
    transaction: sqlx::Transaction<'static, sqlx::Postgres>,
    deadline: Deadline,
) -> Result<(), Error> {
    deadline.keep(transaction.commit()).await
}

/// One statement in a transaction of its own.
pub(super) async fn execute_alone(pool: &Pool, sql: &'static str, values: &[Value]) -> Result<u64, Error> {
    execute(&pool.connections, pool.deadline, sql, values).await
}

/// Rows of one statement in a transaction of its own.
pub(super) async fn fetch_alone<R: Record>(
    pool: &Pool,
    sql: &'static str,
    values: &[Value],
) -> Result<Vec<R>, Error> {
    fetch(&pool.connections, pool.deadline, sql, values).await
}

pub(super) async fn execute(
    executor: impl PgExecutor<'_>,
    deadline: Deadline,
    sql: &'static str,
    values: &[Value],
) -> Result<u64, Error> {
    let done = deadline.keep(sqlx::query_with(sql, arguments(values)?).execute(executor)).await?;
    Ok(done.rows_affected())
}

pub(super) async fn fetch<R: Record>(
    executor: impl PgExecutor<'_>,
    deadline: Deadline,
    sql: &'static str,
    values: &[Value],
) -> Result<Vec<R>, Error> {
    deadline.keep(sqlx::query_as_with(sql, arguments(values)?).fetch_all(executor)).await
}

fn classify(error: sqlx::Error) -> Error {
    Error::classify(error, codes::kind)
}

fn arguments(values: &[Value]) -> Result<PgArguments, Error> {
    let mut arguments = PgArguments::default();
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

fn parse(url: &str) -> Result<PgConnectOptions, Error> {
    PgConnectOptions::from_str(url).map_err(|error| Error::Url(error.to_string()))
}

async fn bring_database_up_to_date(options: &PgConnectOptions) -> Result<Report, Error> {
    let mut connection = connect(options).await?;
    let lock_failed = |error| failed(0, &error);
    // An advisory lock of the session: whatever fails below, it ends with the connection.
    connection.lock().await.map_err(lock_failed)?;
    let report = bring_up_to_date(&mut connection, Backend::Postgres).await?;
    connection.unlock().await.map_err(lock_failed)?;
    connection.close().await.map_err(classify)?;
    Ok(report)
}

/// Connects without a pool, which would go on trying and hide the reason.
async fn connect(options: &PgConnectOptions) -> Result<PgConnection, Error> {
    let unreachable = |reason: String| Error::Unreachable { location: location(options), reason };
    match tokio::time::timeout(ACQUIRE_TIMEOUT, options.connect()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(unreachable(error.to_string())),
        Err(_) => Err(unreachable(format!("no answer within {} s", ACQUIRE_TIMEOUT.as_secs()))),
    }
}

/// Where the database is, without credentials.
fn location(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or(options.get_username());
    match options.get_socket() {
        Some(socket) => format!("{}/{database}", socket.display()),
        None => format!("{}:{}/{database}", options.get_host(), options.get_port()),
    }
}
