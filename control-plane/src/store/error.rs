//! What can go wrong in the store.
//!
//! Owns the distinctions a caller may act on. Which SQLSTATE or SQLite code means what is known to
//! `postgres/codes.rs` and `sqlite/codes.rs` alone.

use sqlx::error::DatabaseError;
use toolplane_registry::ErrorCode;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL names no database that could be used.
    #[error("database URL: {0}")]
    Url(String),
    /// The database could not be opened. Holds the place without credentials.
    #[error("cannot reach the database at {location}: {reason}")]
    Unreachable {
        /// Host, port and database name, or a path.
        location: String,
        /// What the driver said.
        reason: String,
    },
    /// The database was open and does not answer, or not in time. Where that was in a commit, whether the change was
    /// made is unknown.
    #[error("the database does not answer: {0}")]
    Lost(#[source] sqlx::Error),
    /// The database did not answer in time, and was not waited for any longer. Whether the step took effect is
    /// unknown.
    #[error("the database does not answer within {} s", .0.as_secs())]
    Late(std::time::Duration),
    /// A newer release has migrated the database.
    #[error(
        "the database has schema {found}, this release knows {known}: use a newer release, or restore a backup"
    )]
    NewerSchema {
        /// The newest migration applied.
        found: i64,
        /// The newest migration this release has.
        known: i64,
    },
    /// A migration could not be applied, or differs from the one that was.
    #[error("migration {number}: {reason}")]
    Migration {
        /// Its number; 0 where the list of migrations itself could not be read.
        number: i64,
        /// What went wrong.
        reason: String,
    },
    /// The database refused a value.
    #[error("a constraint of the database is violated: {0}")]
    Violated(String),
    /// A row holds what this software never writes.
    #[error("table `{table}`, row `{id}`, column `{column}`: {reason}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        id: String,
        /// What is wrong with the value, without showing it.
        reason: String,
    },
    /// A change concerns an upstream whose row cannot be read.
    #[error(
        "upstream `{domain}` cannot be read from the database ({reason}): nothing was changed; register it again or \
         remove it first"
    )]
    Unreadable {
        /// Its domain.
        domain: String,
        /// Which row, and what is wrong with it.
        reason: Box<Error>,
    },
    /// The thing to change is not there.
    #[error("{0} does not exist")]
    NotFound(String),
    /// The thing to add is there already.
    #[error("{0} already exists")]
    AlreadyExists(String),
    /// Somebody else changed the thing in between.
    #[error("{subject} has changed meanwhile: its etag is `{held}`, not `{expected}`")]
    Conflict {
        /// What was to be changed.
        subject: String,
        /// The etag it has; empty where there is nothing to have one.
        held: String,
        /// The etag the change was meant for.
        expected: String,
    },
    /// There is one rollout at a time, and this one is under way.
    #[error("a rollout is under way already: it holds every node without `{canary}` at v{baseline}")]
    RolloutUnderWay {
        /// Who gets newer versions.
        canary: String,
        /// What the others are kept at.
        baseline: u64,
    },
    /// The secrets in the database were sealed with another key.
    #[error("the sealing key does not fit this database: {0}")]
    Sealed(#[source] toolplane_seal::Error),
    /// Any other failure of the driver or the database.
    #[error("the database failed: {0}")]
    Driver(#[source] sqlx::Error),
}

/// What an error code of a database means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Constraint,
    Transient,
    Other,
}

impl Error {
    /// Which kind of failure this is.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Url(_) => ErrorCode::InvalidInput,
            Self::Unreachable { .. } | Self::Lost(_) | Self::Late(_) => ErrorCode::Unavailable,
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::AlreadyExists(_) | Self::RolloutUnderWay { .. } => ErrorCode::AlreadyExists,
            Self::Conflict { .. } | Self::Unreadable { .. } => ErrorCode::Conflict,
            Self::NewerSchema { .. }
            | Self::Migration { .. }
            | Self::Violated(_)
            | Self::Inconsistent { .. }
            | Self::Sealed(_)
            | Self::Driver(_) => ErrorCode::Internal,
        }
    }

    /// Sorts a failure of the driver; `kind` knows the codes of the backend at hand.
    pub(super) fn classify(error: sqlx::Error, kind: fn(&dyn DatabaseError) -> Kind) -> Self {
        match error {
            sqlx::Error::Database(database) => match kind(&*database) {
                Kind::Constraint => {
                    Self::Violated(database.constraint().unwrap_or_else(|| database.message()).to_owned())
                }
                Kind::Transient => Self::Lost(sqlx::Error::Database(database)),
                Kind::Other => Self::Driver(sqlx::Error::Database(database)),
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Lost(error),
            other => Self::Driver(other),
        }
    }
}
