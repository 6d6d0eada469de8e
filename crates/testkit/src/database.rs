//! Databases for one test each: a SQLite file, a database on a running Postgres, a Postgres of one's own.
//!
//! Owns making them and removing them again. Knows no schema.

mod private;

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use tempfile::TempDir;
use url::Url;

pub use private::PrivatePostgres;

/// Names the Postgres on which tests make their databases; its user must be allowed to.
pub const SERVER_VARIABLE: &str = "TEST_DATABASE_URL";
const DEFAULT_SERVER: &str = "postgres://postgres@127.0.0.1:5432/postgres";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// An empty database that ends with this value.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Folder(TempDir),
    Server { server: String, name: String },
}

impl TestDatabase {
    /// A place for a SQLite file, which is not there yet.
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("toolplane.db").display());
        Self { url, place: Place::Folder(folder) }
    }

    /// A new database on the Postgres that [`SERVER_VARIABLE`] names. Where the variable is not set and nothing
    /// answers at the usual place, the reason is printed and the test should be skipped.
    ///
    /// # Panics
    ///
    /// When the variable is set and nothing usable answers there: whoever set it wants these tests to run.
    pub async fn postgres() -> Option<Self> {
        let named = variable(SERVER_VARIABLE);
        let server = named.clone().unwrap_or_else(|| DEFAULT_SERVER.to_owned());
        match Self::on_server(&server).await {
            Ok(database) => Some(database),
            Err(error) => {
                assert!(named.is_none(), "the Postgres that {SERVER_VARIABLE} names cannot be used: {error}");
                skip(&format!("no Postgres at 127.0.0.1:5432 and {SERVER_VARIABLE} is not set: {error}"));
                None
            }
        }
    }

    /// A new database on the server of a URL.
    pub async fn on_server(server: &str) -> Result<Self, sqlx::Error> {
        let name =
            format!("toolplane_test_{}_{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        // A run that was killed may have left one of this name.
        run_on(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
        run_on(server, &format!("CREATE DATABASE {name} TEMPLATE template0")).await?;
        let mut url = Url::parse(server).map_err(|error| sqlx::Error::Configuration(error.into()))?;
        url.set_path(&name);
        Ok(Self { url: url.into(), place: Place::Server { server: server.to_owned(), name } })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder with the database file and what SQLite puts beside it; `None` for Postgres.
    pub fn folder(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder(folder) => Some(folder.path()),
            Place::Server { .. } => None,
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Place::Server { server, name } = &self.place else { return };
        let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        // The test's runtime may be shutting down around us, so this happens on one of its own. A server that is
        // gone by now took the database along.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.map(|runtime| runtime.block_on(run_on(server, &statement)))
            });
        });
    }
}

async fn run_on(server: &str, statement: &str) -> Result<(), sqlx::Error> {
    let mut connection = connect(server).await?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
    connection.close().await
}

async fn connect(server: &str) -> Result<PgConnection, sqlx::Error> {
    let options: sqlx::postgres::PgConnectOptions = server.parse()?;
    tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await.map_err(|_| sqlx::Error::PoolTimedOut)?
}

#[expect(clippy::disallowed_methods, reason = "where tests find their database is a matter of the machine")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[expect(clippy::print_stderr, reason = "a skipped test says why")]
fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
}
