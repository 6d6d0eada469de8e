//! Postgres tells other control planes of commits.

use std::time::Duration;

use sqlx::postgres::PgListener;

use super::{Bench, create};

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
