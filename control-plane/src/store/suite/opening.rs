//! Opening, migrating, and what lies in the database at rest.

use std::sync::Arc;

use futures::future::join_all;
use toolplane_registry::upstream::{Header, Upstream};
use toolplane_registry::{Domain, ErrorCode, OAuth, Secret, Tls};
use toolplane_seal::Key;
use toolplane_testkit::TestDatabase;

use super::{Bench, TIMEOUT, create, domain, on_both_backends};
use crate::store::migrate::{Report, migrate};
use crate::store::sql::Sql;
use crate::store::{Change, Error, Store as _};

const SECRET: &str = "hunter2-hunter2";

on_both_backends!(
    reopening_finds_the_same_store,
    another_key_is_refused_at_once,
    header_values_are_never_in_the_clear,
    sealed_headers_do_not_open_for_another_upstream,
    a_bad_row_is_named,
    a_newer_schema_is_refused,
    a_migration_that_was_edited_is_refused,
    debug_output_shows_no_url,
);

#[tokio::test]
async fn two_openers_migrate_one_file_without_harm() {
    open_by_many(TestDatabase::sqlite()).await;
}

#[tokio::test]
async fn two_openers_migrate_one_postgres_without_harm() {
    if let Some(database) = TestDatabase::postgres().await {
        open_by_many(database).await;
    }
}

#[tokio::test]
async fn migrating_reports_what_it_did() {
    let databases = [Some(TestDatabase::sqlite()), TestDatabase::postgres().await];
    for database in databases.into_iter().flatten() {
        let first = migrate(database.url()).await.unwrap();
        assert_eq!(first, Report { applied: 13, schema: 14 });
        assert_eq!(migrate(database.url()).await.unwrap(), Report { applied: 0, schema: 14 });
    }
}

async fn open_by_many(database: TestDatabase) {
    let keys = tempfile::tempdir().unwrap();
    let key = Arc::new(Key::load_or_create(&keys.path().join("key")).unwrap());
    let openers = (0..6).map(|_| Sql::open(database.url(), Arc::clone(&key), TIMEOUT));
    let mut ids = Vec::new();
    for opened in join_all(openers).await {
        ids.push(opened.unwrap().head().await.unwrap().store_id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "everybody agrees on the store's id");
}

async fn reopening_finds_the_same_store(bench: Bench) {
    bench.commit(vec![with_header("apollo")]).await.unwrap();
    let before = bench.store.load().await.unwrap();
    assert_eq!(bench.open_again().await.unwrap().load().await.unwrap(), before);
}

async fn another_key_is_refused_at_once(bench: Bench) {
    let keys = tempfile::tempdir().unwrap();
    let other = Arc::new(Key::load_or_create(&keys.path().join("key")).unwrap());
    let error = Sql::open(bench.database.url(), other, TIMEOUT).await.unwrap_err();
    assert!(matches!(error, Error::Sealed(toolplane_seal::Error::WrongKey)), "{error}");
    assert_eq!(error.code(), ErrorCode::Internal);
    bench.open_again().await.unwrap();
}

fn with_header(name: &str) -> Change {
    let header = Header { name: "authorization".to_owned(), value: Secret::new(SECRET.to_owned()) };
    let tls = Tls { client_key: Some(Secret::new(SECRET.to_owned())), ..Tls::default() };
    let oauth = OAuth { client_secret: Some(Secret::new(SECRET.to_owned())), ..OAuth::default() };
    let headers = vec![header];
    let upstream = Upstream { headers, tls, oauth, ..Upstream::new(domain(name), "http://127.0.0.1:9/mcp") };
    Change::CreateUpstream { upstream, config_id: "c1".to_owned(), listing: None }
}

async fn header_values_are_never_in_the_clear(bench: Bench) {
    bench.commit(vec![with_header("apollo")]).await.unwrap();
    let is_inside = |bytes: &[u8]| bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
    if let Some(folder) = bench.database.folder() {
        let mut read = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            read += bytes.len();
            assert!(!is_inside(&bytes));
        }
        assert!(read > 0);
    } else {
        let headers = bench.store.texts("SELECT encode(headers, 'escape') FROM upstreams").await.unwrap();
        assert!(headers.len() == 1 && !is_inside(headers[0].as_bytes()));
        let tls = bench.store.texts("SELECT encode(tls, 'escape') FROM upstreams").await.unwrap();
        assert!(tls.len() == 1 && !is_inside(tls[0].as_bytes()));
        let oauth = bench.store.texts("SELECT encode(oauth, 'escape') FROM upstreams").await.unwrap();
        assert!(oauth.len() == 1 && !is_inside(oauth[0].as_bytes()));
        for table in
            ["SELECT CAST(audit AS TEXT) FROM audit", "SELECT CAST(snapshots AS TEXT) FROM snapshots"]
        {
            assert!(!is_inside(bench.store.texts(table).await.unwrap().concat().as_bytes()));
        }
    }
}

async fn sealed_headers_do_not_open_for_another_upstream(bench: Bench) {
    bench.commit(vec![with_header("apollo"), create("hostile", "c1")]).await.unwrap();
    bench.raw("UPDATE upstreams SET headers = (SELECT headers FROM upstreams WHERE domain = 'apollo')").await;
    expect_bad(&bench, "upstreams", "headers", "hostile").await;
    bench.commit(vec![create("thief", "c1")]).await.unwrap();
    bench.raw("DELETE FROM upstreams WHERE domain = 'hostile'").await;
    bench.raw("UPDATE upstreams SET tls = (SELECT tls FROM upstreams WHERE domain = 'apollo')").await;
    expect_bad(&bench, "upstreams", "tls", "thief").await;
    bench.raw("UPDATE upstreams SET tls = NULL WHERE domain = 'thief'").await;
    bench.raw("UPDATE upstreams SET oauth = (SELECT oauth FROM upstreams WHERE domain = 'apollo')").await;
    expect_bad(&bench, "upstreams", "oauth", "thief").await;
}

async fn expect_bad(bench: &Bench, table: &str, column: &str, id: &str) {
    let registry = bench.store.load().await.unwrap();
    let (domain, reason) = registry.unreadable.first_key_value().unwrap();
    assert!(!registry.upstreams.contains_key(domain), "half of an upstream is none");
    assert!(reason.starts_with(&format!("table `{table}`, row `{id}`, column `{column}`")), "{reason}");
    assert!(!reason.contains("novel"), "the value itself is not shown: {reason}");
}

async fn a_bad_row_is_named(bench: Bench) {
    let listing = Some(super::listing(&["{}", "[]"]));
    let upstream = Upstream::new(Domain::parse("apollo").unwrap(), "http://127.0.0.1:9/mcp");
    bench
        .commit(vec![Change::CreateUpstream { upstream, config_id: "c1".to_owned(), listing }])
        .await
        .unwrap();
    bench.raw("UPDATE tools SET definition = '{novel' WHERE position = 1").await;
    expect_bad(&bench, "tools", "definition", "apollo/1").await;
    bench.raw("UPDATE upstreams SET owner = 'novel'").await;
    expect_bad(&bench, "upstreams", "owner", "apollo").await;
    bench.raw("UPDATE upstreams SET denied_tools = '{\"novel\":1}'").await;
    expect_bad(&bench, "upstreams", "denied_tools", "apollo").await;
}

async fn a_newer_schema_is_refused(bench: Bench) {
    bench
        .raw(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             SELECT 999, 'from the future', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
        )
        .await;
    let error = bench.open_again().await.unwrap_err();
    assert!(matches!(error, Error::NewerSchema { found: 999, known: 14 }), "{error}");
    assert!(matches!(migrate(bench.database.url()).await, Err(Error::NewerSchema { .. })));
    assert_eq!(error.code(), ErrorCode::Internal);
}

async fn a_migration_that_was_edited_is_refused(bench: Bench) {
    bench.raw("UPDATE _sqlx_migrations SET checksum = (SELECT checksum FROM _sqlx_migrations WHERE version = 1)").await;
    let error = bench.open_again().await.unwrap_err();
    assert!(matches!(error, Error::Migration { number: 2, .. }), "{error}");
}

async fn debug_output_shows_no_url(bench: Bench) {
    let text = format!("{:?}", bench.store);
    assert!(text.starts_with("Sql(") && !text.contains("127.0.0.1") && !text.contains('/'), "{text}");
}
