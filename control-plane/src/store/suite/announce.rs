//! Postgres tells other control planes of commits; a file does not.

use std::time::Duration;

use sqlx::postgres::PgListener;

use super::{Bench, create};
use crate::store::{Store as _, Wakeups};

#[tokio::test]
async fn a_commit_is_announced_and_a_failed_one_is_not() {
    let Some(bench) = Bench::postgres().await else { return };
    let mut listener = PgListener::connect(bench.database.url()).await.unwrap();
    listener.listen("toolplane_head").await.unwrap();
    bench.commit(vec![create("apollo", "c1")]).await.unwrap();
    bench.commit(vec![create("apollo", "c1")]).await.unwrap_err();
    bench.commit(vec![create("hubspot", "c1")]).await.unwrap();
    for expected in ["1", "2"] {
        let heard = tokio::time::timeout(Duration::from_secs(10), listener.recv()).await.unwrap().unwrap();
        assert_eq!(heard.payload(), expected);
    }
}

async fn wakeup(wakeups: &mut dyn Wakeups) {
    tokio::time::timeout(Duration::from_secs(20), wakeups.next()).await.expect("nobody told of a commit");
}

#[tokio::test]
async fn commits_wake_and_a_severed_connection_is_made_again() {
    let Some(bench) = Bench::postgres().await else { return };
    let other = bench.open_again().await.unwrap();
    let mut wakeups = other.wakeups();
    wakeup(&mut *wakeups).await;
    bench.commit(vec![create("apollo", "c1")]).await.unwrap();
    wakeup(&mut *wakeups).await;
    bench
        .raw(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND query LIKE 'LISTEN%'",
        )
        .await;
    wakeup(&mut *wakeups).await;
    bench.commit(vec![create("hubspot", "c1")]).await.unwrap();
    wakeup(&mut *wakeups).await;
}

#[tokio::test]
async fn on_a_file_nobody_is_told() {
    let bench = Bench::sqlite().await;
    let mut wakeups = bench.store.wakeups();
    bench.commit(vec![create("apollo", "c1")]).await.unwrap();
    assert!(futures::FutureExt::now_or_never(wakeups.next()).is_none());
}
