//! The schema: which migrations there are, and bringing a database up to date.
//!
//! Owns the list of embedded migrations and the version check. The locks under which they are applied belong to
//! the backends. Migrations only ever go forward; see `migrations/README.md`.

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType};

use super::{Error, postgres, sqlite};

/// The table in which sqlx keeps what was applied.
const APPLIED: &str = "_sqlx_migrations";

/// Which database is behind a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// What [`migrate`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// How many migrations were applied just now.
    pub applied: usize,
    /// The number of the newest one, applied now or before.
    pub schema: i64,
}

/// A migration in both dialects.
struct Pair {
    number: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

const PAIRS: [Pair; 13] = [
    Pair {
        number: 1,
        name: "registry",
        sqlite: include_str!("../../../migrations/sqlite/0001_registry.sql"),
        postgres: include_str!("../../../migrations/postgres/0001_registry.sql"),
    },
    Pair {
        number: 2,
        name: "access",
        sqlite: include_str!("../../../migrations/sqlite/0002_access.sql"),
        postgres: include_str!("../../../migrations/postgres/0002_access.sql"),
    },
    Pair {
        number: 3,
        name: "nodes",
        sqlite: include_str!("../../../migrations/sqlite/0003_nodes.sql"),
        postgres: include_str!("../../../migrations/postgres/0003_nodes.sql"),
    },
    Pair {
        number: 4,
        name: "replicas",
        sqlite: include_str!("../../../migrations/sqlite/0004_replicas.sql"),
        postgres: include_str!("../../../migrations/postgres/0004_replicas.sql"),
    },
    Pair {
        number: 5,
        name: "history",
        sqlite: include_str!("../../../migrations/sqlite/0005_history.sql"),
        postgres: include_str!("../../../migrations/postgres/0005_history.sql"),
    },
    Pair {
        number: 6,
        name: "token_capabilities",
        sqlite: include_str!("../../../migrations/sqlite/0006_token_capabilities.sql"),
        postgres: include_str!("../../../migrations/postgres/0006_token_capabilities.sql"),
    },
    Pair {
        number: 7,
        name: "rollouts",
        sqlite: include_str!("../../../migrations/sqlite/0007_rollouts.sql"),
        postgres: include_str!("../../../migrations/postgres/0007_rollouts.sql"),
    },
    Pair {
        number: 9,
        name: "upstream_protocols",
        sqlite: include_str!("../../../migrations/sqlite/0009_upstream_protocols.sql"),
        postgres: include_str!("../../../migrations/postgres/0009_upstream_protocols.sql"),
    },
    Pair {
        number: 10,
        name: "upstream_limits",
        sqlite: include_str!("../../../migrations/sqlite/0010_upstream_limits.sql"),
        postgres: include_str!("../../../migrations/postgres/0010_upstream_limits.sql"),
    },
    Pair {
        number: 11,
        name: "request_keys",
        sqlite: include_str!("../../../migrations/sqlite/0011_request_keys.sql"),
        postgres: include_str!("../../../migrations/postgres/0011_request_keys.sql"),
    },
    Pair {
        number: 12,
        name: "upstream_tls",
        sqlite: include_str!("../../../migrations/sqlite/0012_upstream_tls.sql"),
        postgres: include_str!("../../../migrations/postgres/0012_upstream_tls.sql"),
    },
    Pair {
        number: 13,
        name: "audit_at",
        sqlite: include_str!("../../../migrations/sqlite/0013_audit_at.sql"),
        postgres: include_str!("../../../migrations/postgres/0013_audit_at.sql"),
    },
    Pair {
        number: 14,
        name: "upstream_oauth",
        sqlite: include_str!("../../../migrations/sqlite/0014_upstream_oauth.sql"),
        postgres: include_str!("../../../migrations/postgres/0014_upstream_oauth.sql"),
    },
];

/// Applies what is missing, creating the database file where there is none.
pub async fn migrate(url: &str) -> Result<Report, Error> {
    match Backend::of(url)? {
        Backend::Sqlite => sqlite::migrate(url).await,
        Backend::Postgres => postgres::migrate(url).await,
    }
}

impl Backend {
    /// Tells the backend by the URL's scheme.
    pub fn of(url: &str) -> Result<Self, Error> {
        // The URL is not repeated: it may hold a password.
        match url.split_once(':') {
            Some(("sqlite", _)) => Ok(Self::Sqlite),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres),
            _ => Err(Error::Url("must start with `sqlite:` or `postgres://`".to_owned())),
        }
    }

    fn migrations(self) -> impl Iterator<Item = Migration> {
        PAIRS.into_iter().map(move |Pair { number, name, sqlite, postgres }| {
            let sql = match self {
                Self::Sqlite => sqlite,
                Self::Postgres => postgres,
            };
            Migration::new(number, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        })
    }
}

/// Applies what is missing. The caller holds a lock that keeps other processes from doing the same.
pub(super) async fn bring_up_to_date<C: Migrate>(
    connection: &mut C,
    backend: Backend,
) -> Result<Report, Error> {
    connection.ensure_migrations_table(APPLIED).await.map_err(|error| failed(0, &error))?;
    let held = connection.list_applied_migrations(APPLIED).await.map_err(|error| failed(0, &error))?;
    let found = held.iter().map(|migration| migration.version).max().unwrap_or(0);
    let known = backend.migrations().map(|migration| migration.version).max().unwrap_or(0);
    if found > known {
        return Err(Error::NewerSchema { found, known });
    }
    let mut applied = 0;
    for migration in backend.migrations() {
        let number = migration.version;
        match held.iter().find(|candidate| candidate.version == number) {
            Some(before) if before.checksum != migration.checksum => {
                return Err(Error::Migration { number, reason: "differs from what was applied".to_owned() });
            }
            Some(_) => {}
            None => {
                connection.apply(APPLIED, &migration).await.map_err(|error| failed(number, &error))?;
                applied += 1;
            }
        }
    }
    Ok(Report { applied, schema: known })
}

pub(super) fn failed(number: i64, error: &MigrateError) -> Error {
    Error::Migration { number, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_is_listed_in_both_dialects() {
        let listed: BTreeSet<String> =
            PAIRS.iter().map(|pair| format!("{:04}_{}.sql", pair.number, pair.name)).collect();
        assert_eq!(listed.len(), PAIRS.len());
        for dialect in ["sqlite", "postgres"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(dialect);
            let files: BTreeSet<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            assert_eq!(files, listed, "{dialect}");
        }
    }

    #[test]
    fn the_backend_is_told_by_the_scheme_and_the_url_is_never_shown() {
        assert_eq!(Backend::of("sqlite:/var/lib/toolplane/db").unwrap(), Backend::Sqlite);
        assert_eq!(Backend::of("postgres://u:p@h/d").unwrap(), Backend::Postgres);
        assert_eq!(Backend::of("postgresql://u:p@h/d").unwrap(), Backend::Postgres);
        for wrong in ["mysql://u:hunter2@h/d", "hunter2", "", "sqlitex:hunter2"] {
            let error = Backend::of(wrong).unwrap_err();
            assert!(matches!(error, Error::Url(_)) && !error.to_string().contains("hunter2"));
        }
    }
}
