//! The keys of request states: made by commits, sealed, the same for every control plane.

use super::{Bench, NOW, commit, create, on_both_backends};
use crate::store::{Commit, Store as _};

on_both_backends!(
    commits_make_keys_and_leave_those_there_are,
    keys_are_topped_up_and_forgotten_as_time_goes,
    keys_are_sealed_where_they_lie,
);

const WEEK: i64 = 7 * 24 * 60 * 60 * 1000;

async fn commits_make_keys_and_leave_those_there_are(bench: Bench) {
    assert!(bench.store.load().await.unwrap().request_keys.is_empty());
    bench.store.commit(&commit(vec![create("a", "1")])).await.unwrap();
    let keys = bench.store.load().await.unwrap().request_keys;
    let ends: Vec<i64> = keys.iter().map(|key| key.not_after).collect();
    assert_eq!(ends, [NOW + WEEK, NOW + 2 * WEEK]);
    assert_ne!(keys[0].key, keys[1].key);
    bench.store.commit(&commit(vec![create("b", "1")])).await.unwrap();
    assert_eq!(bench.store.load().await.unwrap().request_keys, keys);
    assert_eq!(bench.open_again().await.unwrap().load().await.unwrap().request_keys, keys);
}

async fn keys_are_topped_up_and_forgotten_as_time_goes(bench: Bench) {
    let at = |at| Commit { changes: Vec::new(), audit: Vec::new(), at };
    bench.store.commit(&at(NOW)).await.unwrap();
    let first = bench.store.load().await.unwrap().request_keys;
    bench.store.commit(&at(NOW + WEEK / 2)).await.unwrap();
    let topped_up = bench.store.load().await.unwrap().request_keys;
    assert_eq!(
        (topped_up.len(), &topped_up[..2]),
        (3, &first[..]),
        "the next is made long before it is used"
    );
    bench.store.commit(&at(NOW + WEEK + WEEK / 2)).await.unwrap();
    let later = bench.store.load().await.unwrap().request_keys;
    assert_eq!((later.len(), &later[..2]), (3, &topped_up[1..]), "the one that is over is gone");
}

async fn keys_are_sealed_where_they_lie(bench: Bench) {
    bench.store.commit(&commit(vec![create("a", "1")])).await.unwrap();
    let keys = bench.store.load().await.unwrap().request_keys;
    // Sealed for another row, a key does not open.
    bench.store.raw("UPDATE request_keys SET id = 'another'").await.unwrap_err();
    bench
        .store
        .raw("DELETE FROM request_keys WHERE not_after = (SELECT MAX(not_after) FROM request_keys)")
        .await
        .unwrap();
    bench.store.raw("UPDATE request_keys SET id = 'another'").await.unwrap();
    assert!(bench.store.load().await.is_err());
    assert_eq!(format!("{:?}", keys[0].key), "[redacted]");
}
