//! Databases that are away, go away, or cannot be written.

use std::sync::Arc;
use std::time::Duration;

use toolplane_registry::ErrorCode;
use toolplane_seal::Key;
use toolplane_testkit::fault_proxy::Faults;
use toolplane_testkit::{FaultProxy, PrivatePostgres, TestDatabase};

use super::{Bench, TIMEOUT, commit, create};
use crate::store::sql::Sql;
use crate::store::{Error, Store, open};

async fn open_with_new_key(url: &str) -> Result<Arc<dyn Store>, Error> {
    let keys = tempfile::tempdir().unwrap();
    open(
        url,
        Arc::new(Key::load_or_create(&keys.path().join("key")).unwrap()),
        TIMEOUT,
        crate::metrics::Metrics::new(None),
    )
    .await
}

#[tokio::test]
async fn an_unreachable_postgres_is_one_line_without_the_password() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error =
        open_with_new_key(&format!("postgres://me:hunter2@127.0.0.1:{port}/registry")).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    let text = error.to_string();
    assert!(text.contains(&format!("127.0.0.1:{port}/registry")), "{text}");
    assert!(!text.contains("hunter2") && !text.contains('\n'), "{text}");
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn urls_that_name_no_database_are_refused_without_being_shown() {
    for url in ["mysql://me:hunter2@h/d", "sqlite::memory:", "sqlite:", "postgres://me:hunter2@h:port/d"] {
        let error = open_with_new_key(url).await.unwrap_err();
        assert!(matches!(error, Error::Url(_)), "{url}: {error}");
        assert_eq!(error.code(), ErrorCode::InvalidInput);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_missing_folder_is_reported_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nowhere/toolplane.db");
    let error = open_with_new_key(&format!("sqlite:{}", path.display())).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("nowhere/toolplane.db"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let database = TestDatabase::sqlite();
    let path = database.folder().unwrap().join("toolplane.db");
    let text = "not a database. ".repeat(300);
    std::fs::write(&path, &text).unwrap();
    let error = open_with_new_key(database.url()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let bench = Bench::sqlite().await;
    bench.commit(vec![create("apollo", "c1")]).await.unwrap();
    let mut names = Vec::new();
    for file in std::fs::read_dir(bench.database.folder().unwrap()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
        names.push(file.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["toolplane.db", "toolplane.db-shm", "toolplane.db-wal", "toolplane.db.lock"]);
}

#[tokio::test]
async fn what_was_confirmed_survives_a_crash_of_the_database() {
    let Some(cluster) = PrivatePostgres::create() else { return };
    let bench = Bench::on(TestDatabase::on_server(&cluster.url()).await.unwrap()).await;
    bench.commit(vec![create("apollo", "c1")]).await.unwrap();
    let before = bench.store.load().await.unwrap();

    cluster.stop_immediately();
    let error = bench.commit(vec![create("hubspot", "c1")]).await.unwrap_err();
    assert!(matches!(error, Error::Lost(_)), "{error}");
    assert_eq!(error.code(), ErrorCode::Unavailable);

    cluster.start();
    assert_eq!(bench.store.load().await.unwrap(), before, "the store connects again by itself");
    assert_eq!(bench.commit(vec![create("hubspot", "c1")]).await.unwrap().number, 2);
}

/// A database, and the way to it through a proxy.
async fn behind_a_proxy() -> Option<(TestDatabase, FaultProxy, String)> {
    let database = TestDatabase::postgres().await?;
    let (proxy, url) = FaultProxy::in_front_of(database.url()).await;
    Some((database, proxy, url))
}

#[tokio::test]
async fn a_database_that_stops_answering_is_given_up_in_time_and_found_again() {
    let Some((database, proxy, url)) = behind_a_proxy().await else { return };
    let keys = tempfile::tempdir().unwrap();
    let key = Arc::new(Key::load_or_create(&keys.path().join("key")).unwrap());
    let store = Sql::open(&url, Arc::clone(&key), Duration::from_millis(300)).await.unwrap();
    store.commit(&commit(vec![create("apollo", "c1")])).await.unwrap();

    proxy.set(Faults::stalled());
    // More than the pool has connections: none of them may be lost for good.
    for _ in 0..3 {
        let heads = futures::future::join_all((0..8).map(|_| store.head())).await;
        for error in heads.into_iter().map(Result::unwrap_err) {
            assert!(matches!(error, Error::Late(_) | Error::Lost(_)), "{error}");
            assert_eq!(error.code(), ErrorCode::Unavailable);
        }
    }
    proxy.reset();
    proxy.set(Faults::default());
    let healed = futures::future::join_all((0..16).map(|_| store.head())).await;
    assert!(healed.into_iter().any(|head| head.is_ok()), "some connection is sound at once");
    assert_eq!(store.commit(&commit(vec![create("hubspot", "c1")])).await.unwrap().number, 2);
    drop(database);
}

#[tokio::test]
async fn a_control_plane_that_vanishes_in_a_commit_does_not_stop_the_others() {
    let Some((database, proxy, url)) = behind_a_proxy().await else { return };
    let keys = tempfile::tempdir().unwrap();
    let key = Arc::new(Key::load_or_create(&keys.path().join("key")).unwrap());
    let timeout = Duration::from_millis(500);
    let cut_off = Sql::open(&url, Arc::clone(&key), timeout).await.unwrap();
    let other = Sql::open(database.url(), Arc::clone(&key), TIMEOUT).await.unwrap();
    let mut transaction = cut_off.begin_write().await;
    transaction.execute("UPDATE head SET version = version", &[]).await.unwrap();
    proxy.set(Faults::stalled());
    // Waits for the row that the other holds, until the server takes it back.
    assert_eq!(other.commit(&commit(vec![create("apollo", "c1")])).await.unwrap().number, 1);
    transaction.commit().await.unwrap_err();
}
