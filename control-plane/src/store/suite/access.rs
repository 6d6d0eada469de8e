//! Tokens, audit records and nodes.

use std::collections::BTreeMap;

use toolplane_registry::{Digest, ErrorCode, Rejection, Rule, Version};

use super::{Bench, NOW, commit, entry, on_both_backends};
use crate::store::{AuditEntry, Claim, Error, Expiry, NodeRecord, Role, Store as _, Token};

on_both_backends!(
    a_token_is_found_by_its_hash_alone,
    a_token_id_is_taken_once,
    two_tokens_with_one_secret_violate_a_constraint,
    tokens_are_listed_in_pages_by_id,
    a_token_is_revoked_once,
    audit_records_are_listed_newest_first,
    a_node_is_kept_as_it_last_reported,
    old_audit_records_are_forgotten_a_few_at_a_time,
    nodes_that_have_been_away_for_long_are_forgotten_and_no_others,
);

fn token(id: &str, role: Role) -> Token {
    Token {
        id: id.to_owned(),
        description: "for ci".to_owned(),
        role,
        may_register: false,
        created_at: NOW,
        expires_at: None,
        revoked_at: None,
    }
}

fn hash(id: &str) -> Digest {
    Digest::of(id.as_bytes())
}

async fn insert(bench: &Bench, token: &Token) {
    bench.store.insert_token(token, hash(&token.id), &entry("token.create")).await.unwrap();
}

async fn a_token_is_found_by_its_hash_alone(bench: Bench) {
    for (id, role) in [("a", Role::Node), ("b", Role::Viewer), ("c", Role::Registrar), ("d", Role::Admin)] {
        let token = Token { expires_at: Some(NOW + 9), may_register: role == Role::Node, ..token(id, role) };
        insert(&bench, &token).await;
        assert_eq!(bench.store.find_token(hash(id)).await.unwrap(), Some(token));
    }
    assert_eq!(bench.store.find_token(hash("e")).await.unwrap(), None);
}

async fn a_token_id_is_taken_once(bench: Bench) {
    insert(&bench, &token("a", Role::Admin)).await;
    let again = bench
        .store
        .insert_token(&token("a", Role::Node), hash("b"), &entry("token.create"))
        .await
        .unwrap_err();
    assert!(matches!(&again, Error::AlreadyExists(subject) if subject == "token `a`"), "{again}");
    assert_eq!(bench.store.list_audit(None, 10).await.unwrap().len(), 1);
    assert_eq!(bench.store.find_token(hash("b")).await.unwrap(), None);
}

async fn two_tokens_with_one_secret_violate_a_constraint(bench: Bench) {
    insert(&bench, &token("a", Role::Admin)).await;
    let error = bench
        .store
        .insert_token(&token("b", Role::Node), hash("a"), &entry("token.create"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Violated(_)), "{error}");
    assert_eq!(error.code(), ErrorCode::Internal);
    assert_eq!(bench.store.list_audit(None, 10).await.unwrap().len(), 1);
}

async fn tokens_are_listed_in_pages_by_id(bench: Bench) {
    for id in ["b", "ä", "B", "a"] {
        insert(&bench, &token(id, Role::Viewer)).await;
    }
    let ids = |tokens: Vec<Token>| tokens.into_iter().map(|token| token.id).collect::<Vec<_>>();
    assert_eq!(ids(bench.store.list_tokens(None, 3).await.unwrap()), ["B", "a", "b"], "byte order");
    assert_eq!(ids(bench.store.list_tokens(Some("b"), 3).await.unwrap()), ["ä"]);
    assert!(bench.store.list_tokens(Some("ä"), 3).await.unwrap().is_empty());
}

async fn a_token_is_revoked_once(bench: Bench) {
    insert(&bench, &token("a", Role::Viewer)).await;
    let revoked = bench.store.revoke_token("a", NOW + 1, &entry("token.revoke")).await.unwrap().unwrap();
    assert_eq!(revoked.revoked_at, Some(NOW + 1));
    let again = bench.store.revoke_token("a", NOW + 2, &entry("token.revoke")).await.unwrap();
    assert_eq!(again, Some(revoked.clone()), "the first time stands");
    assert_eq!(bench.store.find_token(hash("a")).await.unwrap(), Some(revoked));
    assert_eq!(bench.store.revoke_token("b", NOW, &entry("token.revoke")).await.unwrap(), None);
    assert_eq!(bench.store.list_audit(None, 10).await.unwrap().len(), 2, "created, revoked");
}

async fn audit_records_are_listed_newest_first(bench: Bench) {
    insert(&bench, &token("a", Role::Viewer)).await;
    let mut both = commit(Vec::new());
    both.audit = vec![entry("first"), entry("second")];
    bench.store.commit(&both).await.unwrap();
    let records = bench.store.list_audit(None, 10).await.unwrap();
    let seen: Vec<_> = records.iter().map(|record| (record.action.as_str(), record.version)).collect();
    assert_eq!(seen, [("second", 1), ("first", 1), ("token.create", 0)]);
    let newest = &records[0];
    assert_eq!((newest.actor.as_str(), newest.subject.as_str()), ("tok_1", "upstream apollo"));
    assert_eq!((newest.detail.as_str(), newest.at), ("by hand", NOW));
    assert_eq!(bench.store.list_audit(Some(newest.id), 1).await.unwrap(), records[1..2]);
}

async fn a_node_is_kept_as_it_last_reported(bench: Bench) {
    let first = NodeRecord {
        id: "node-b".to_owned(),
        control_plane: "cp-1".to_owned(),
        stream: 1,
        build: "0.1.0".to_owned(),
        labels: BTreeMap::from([("zone".to_owned(), "\"a\"".to_owned())]),
        version: Version::new("store-1", u64::MAX),
        digest: hash("x").to_string(),
        connected_at: NOW,
        disconnected_at: Some(NOW + 2),
        acked_at: Some(NOW + 1),
        persisted: true,
        rejections: vec![Rejection::new("tool `a`", Rule::Schema, "too deep")],
    };
    bench.store.put_nodes(&[(first.clone(), Claim::Opened)]).await.unwrap();
    let other = NodeRecord { id: "node-a".to_owned(), ..first.clone() };
    bench.store.put_nodes(&[(other.clone(), Claim::Opened)]).await.unwrap();
    assert_eq!(bench.store.list_nodes().await.unwrap(), [other, first.clone()]);

    let later = NodeRecord {
        id: "node-a".to_owned(),
        control_plane: "cp-2".to_owned(),
        stream: u64::MAX,
        build: "0.2.0".to_owned(),
        labels: BTreeMap::new(),
        version: Version::none(),
        digest: String::new(),
        connected_at: NOW + 3,
        disconnected_at: None,
        acked_at: None,
        persisted: false,
        rejections: Vec::new(),
    };
    bench.store.put_nodes(&[(later.clone(), Claim::Opened)]).await.unwrap();
    assert_eq!(bench.store.list_nodes().await.unwrap(), [later, first]);
    bench
        .raw("UPDATE nodes SET rejections = '[{\"subject\":\"s\",\"rule\":\"novel\",\"reason\":\"r\"}]'")
        .await;
    let nodes = bench.store.list_nodes().await.unwrap();
    assert_eq!(
        nodes[0].rejections,
        [Rejection::new("s", Rule::Consistency, "r")],
        "written by a newer release"
    );
}

async fn old_audit_records_are_forgotten_a_few_at_a_time(bench: Bench) {
    let mut aged = commit(Vec::new());
    aged.audit = (0..5).map(|age| AuditEntry { at: NOW - age, ..entry("aged") }).collect();
    bench.store.commit(&aged).await.unwrap();
    let kept = async || {
        let records = bench.store.list_audit(None, 10).await.unwrap();
        records.iter().map(|record| NOW - record.at).collect::<Vec<_>>()
    };
    let nothing = Expiry { audit_before: None, nodes_before: None };
    assert_eq!(bench.store.forget(&nothing, 10).await.unwrap(), 0);
    assert_eq!(kept().await, [4, 3, 2, 1, 0]);
    let older = Expiry { audit_before: Some(NOW - 1), ..nothing };
    assert_eq!(bench.store.forget(&older, 2).await.unwrap(), 2);
    assert_eq!(kept().await, [2, 1, 0], "no more than asked for, the oldest first");
    let both = tokio::join!(bench.store.forget(&older, 2), bench.store.forget(&older, 2));
    assert_eq!(both.0.unwrap() + both.1.unwrap(), 1, "two at once do each other no harm");
    assert_eq!(kept().await, [1, 0]);
}

async fn nodes_that_have_been_away_for_long_are_forgotten_and_no_others(bench: Bench) {
    let node = |id: &str, control_plane: &str, disconnected_at| NodeRecord {
        id: id.to_owned(),
        control_plane: control_plane.to_owned(),
        stream: 1,
        build: String::new(),
        labels: BTreeMap::new(),
        version: Version::none(),
        digest: String::new(),
        connected_at: NOW - 10,
        disconnected_at,
        acked_at: None,
        persisted: false,
        rejections: Vec::new(),
    };
    let nodes = [
        node("away-for-long", "living", Some(NOW - 3)),
        node("away", "living", Some(NOW - 1)),
        node("connected", "living", None),
        node("connected-to-one-that-died", "dead", None),
        node("just-connected", "unknown", None),
    ];
    let mut nodes = nodes.map(|node| (node, Claim::Opened));
    nodes[4].0.connected_at = NOW;
    bench.store.put_nodes(&nodes).await.unwrap();
    bench
        .raw("INSERT INTO control_planes (id, lease_until) VALUES ('living', 9000000000000), ('dead', 1)")
        .await;
    let expiry = Expiry { audit_before: None, nodes_before: Some(NOW - 2) };
    assert_eq!(bench.store.forget(&expiry, 10).await.unwrap(), 2);
    let left = bench.store.list_nodes().await.unwrap();
    let left: Vec<_> = left.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(left, ["away", "connected", "just-connected"]);
}
