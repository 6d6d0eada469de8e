//! The connections, and how long any step may take.
//!
//! A server that vanishes without a word leaves connections behind on which the kernel goes on trying for a quarter of
//! an hour, so every step has a deadline here. The server has the same deadlines for us: a control plane that vanishes
//! in the middle of a transaction must not keep its locks, for which all the others would wait.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool};

use super::{ACQUIRE_TIMEOUT, classify};
use crate::store::Error;

/// One of them listens.
const CONNECTIONS: u32 = 10;
/// What the server needs to say that it gave up, which leaves the connection in order.
const ANSWER: Duration = Duration::from_secs(1);
/// How long a connection may take to come clean of a step that was given up.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections that are made when they are needed.
#[derive(Clone)]
pub(in crate::store) struct Pool {
    pub(super) connections: PgPool,
    pub(super) deadline: Deadline,
}

/// How long one step may take.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Deadline(Duration);

impl Pool {
    pub(super) fn new(options: PgConnectOptions, timeout: Duration) -> Self {
        let connections = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(move |connection, _| Box::pin(limit(connection, timeout)))
            // What is behind a step that was given up is found out here, and the pool would wait for it for ever.
            .after_release(|connection, _| Box::pin(is_clean(connection)))
            .connect_lazy_with(options);
        Self { connections, deadline: Deadline(timeout.saturating_add(ANSWER)) }
    }
}

impl Deadline {
    /// Gives the step up when it takes too long; whether it took effect is unknown then.
    pub(super) async fn keep<T>(
        self,
        step: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(self.0, step).await {
            Ok(outcome) => outcome.map_err(classify),
            Err(_) => Err(Error::Late(self.0)),
        }
    }
}

/// Makes the server give up where we would.
async fn limit(connection: &mut PgConnection, timeout: Duration) -> Result<(), sqlx::Error> {
    let limit = timeout.as_millis();
    let statements =
        format!("SET statement_timeout = {limit}; SET idle_in_transaction_session_timeout = {limit}");
    connection.execute(AssertSqlSafe(statements)).await.map(drop)
}

async fn is_clean(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let answered = tokio::time::timeout(RELEASE_TIMEOUT, connection.ping()).await;
    answered.map_err(|_| sqlx::Error::PoolTimedOut)?.map(|()| true)
}
