//! Rollouts through the admin API and the sync stream.

use tonic::Code;
use toolplane_proto::admin::node_service_client::NodeServiceClient;
use toolplane_proto::admin::snapshot_service_client::SnapshotServiceClient;
use toolplane_proto::admin::{self, Role};
use toolplane_proto::sync;
use toolplane_testkit::fake_upstream::FakeUpstream;

use crate::harness::{Client, Plane, SHARED_TOKEN};
use crate::stream::{Follower, nodes_until};

fn client(plane: &Plane) -> SnapshotServiceClient<Client> {
    SnapshotServiceClient::new(plane.as_admin())
}

fn start_request() -> admin::StartRolloutRequest {
    admin::StartRolloutRequest { label: "ring".into(), value: "canary".into(), ..Default::default() }
}

async fn start(plane: &Plane) -> admin::Rollout {
    client(plane).start_rollout(start_request()).await.unwrap().into_inner().rollout.unwrap()
}

async fn state(plane: &Plane) -> admin::GetRolloutResponse {
    client(plane).get_rollout(admin::GetRolloutRequest {}).await.unwrap().into_inner()
}

fn hello(id: &str, canary: bool, held: Option<&sync::Update>) -> sync::Hello {
    let labels = if canary { vec![("ring".to_owned(), "canary".to_owned())] } else { Vec::new() };
    let domains = held.into_iter().flat_map(|update| {
        assert!(update.full, "what is held is told by a whole update");
        update
            .changed
            .iter()
            .map(|domain| sync::HeldDomain { domain: domain.domain.clone(), digest: domain.digest.clone() })
    });
    sync::Hello {
        node_id: id.into(),
        build: "test".into(),
        labels: labels.into_iter().collect(),
        held: held.and_then(|update| update.version.clone()),
        domains: domains.collect(),
        ..Default::default()
    }
}

async fn refresh(plane: &Plane, domain: &str) -> u64 {
    let request = admin::RefreshUpstreamsRequest { domains: vec![domain.to_owned()] };
    let refreshed = plane.upstreams().refresh_upstreams(request).await.unwrap().into_inner();
    number(refreshed.version.as_ref())
}

fn number(version: Option<&sync::Version>) -> u64 {
    version.map_or(0, |version| version.number)
}

fn tools(update: &sync::Update) -> Vec<String> {
    let names = |domain: &sync::Domain| -> Vec<String> {
        domain.tools.iter().map(|tool| format!("{}:{}", domain.domain, tool.original_name)).collect()
    };
    update.changed.iter().flat_map(names).collect()
}

/// A registry with `apollo`, a canary and another node, both current, then a rollout.
struct Stage {
    plane: Plane,
    upstream: FakeUpstream,
    canary: Follower,
    other: Follower,
    rollout: admin::Rollout,
}

impl Stage {
    async fn set() -> Self {
        Self::on(Plane::start().await).await
    }

    async fn on(plane: Plane) -> Self {
        let upstream = FakeUpstream::builder().tool("old").start().await;
        plane.create("apollo", &upstream.url()).await;
        let mut canary = Follower::open_as(&plane, hello("canary", true, None)).await;
        let mut other = Follower::open_as(&plane, hello("other", false, None)).await;
        for node in [&mut canary, &mut other] {
            let update = node.next().await;
            node.ack(&update).await;
        }
        let rollout = start(&plane).await;
        let baseline = rollout.baseline.clone();
        for node in [&mut canary, &mut other] {
            let update = node.until(|update| update.version == baseline).await;
            assert!(update.changed.is_empty(), "the baseline is what there was");
        }
        Self { plane, upstream, canary, other, rollout }
    }

    /// What a node with these labels is sent that holds nothing.
    async fn everything(&self, id: &str, canary: bool) -> sync::Update {
        let mut node = Follower::open_as(&self.plane, hello(id, canary, None)).await;
        let update = node.next().await;
        node.ack(&update).await;
        update
    }
}

#[tokio::test]
async fn a_change_reaches_canaries_only_until_it_is_promoted() {
    let mut stage = Stage::set().await;
    stage.upstream.rename_tools(&["new"]);
    let bad = refresh(&stage.plane, "apollo").await;
    assert_eq!(
        tools(&stage.canary.until(|update| number(update.version.as_ref()) == bad).await),
        ["apollo:new"]
    );
    let fresh = stage.everything("fresh", false).await;
    assert_eq!((tools(&fresh), &fresh.version), (vec!["apollo:old".to_owned()], &stage.rollout.baseline));
    assert_eq!(tools(&stage.everything("second canary", true).await), ["apollo:new"]);

    let promoted = admin::PromoteRolloutRequest { etag: stage.rollout.etag.clone(), ..Default::default() };
    let promoted = client(&stage.plane).promote_rollout(promoted).await.unwrap().into_inner();
    // Nothing was sent in between: the first thing it hears of is the promotion.
    let update = stage.other.next().await;
    assert_eq!((&update.version, tools(&update)), (&promoted.version, vec!["apollo:new".to_owned()]));
    let same = stage.canary.until(|update| update.version == promoted.version).await;
    assert_eq!((same.changed.len(), &same.digest), (0, &update.digest));
    assert_eq!(state(&stage.plane).await.rollout, None);
}

#[tokio::test]
async fn an_abort_takes_canaries_back_and_shows_the_others_nothing() {
    let mut stage = Stage::set().await;
    let moved = FakeUpstream::builder().tool("new").start().await;
    let update = admin::UpdateUpstreamRequest {
        upstream: Some(admin::Upstream { domain: "apollo".into(), url: moved.url(), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["url".into()] }),
        ..Default::default()
    };
    stage.plane.upstreams().update_upstream(update).await.unwrap();
    stage.plane.create("late", &moved.url()).await;
    stage.canary.until(|update| tools(update).contains(&"late:new".to_owned())).await;

    let request = admin::AbortRolloutRequest { etag: "another".into(), ..Default::default() };
    let conflict = client(&stage.plane).abort_rollout(request).await.unwrap_err();
    assert!(
        conflict.code() == Code::Aborted && conflict.message().contains(&stage.rollout.etag),
        "{conflict}"
    );
    let dry = admin::AbortRolloutRequest { validate_only: true, ..Default::default() };
    client(&stage.plane).abort_rollout(dry).await.unwrap();
    let aborted = client(&stage.plane).abort_rollout(admin::AbortRolloutRequest::default()).await;
    let aborted = aborted.unwrap().into_inner();
    assert_eq!((&aborted.frozen, &aborted.missing), (&vec!["apollo".to_owned(), "late".to_owned()], &vec![]));
    let update = stage.other.next().await;
    assert_eq!(update.version, aborted.version, "it never saw what was tried");
    assert_eq!(tools(&update), ["apollo:old"]);
    let back = stage.canary.until(|update| update.version == aborted.version).await;
    assert_eq!(back.digest, update.digest);
    let shown = stage.plane.get("apollo").await.unwrap();
    assert_eq!(shown.url, stage.upstream.url(), "it is reached as it was before");
    assert_eq!(shown.frozen_at_version, number(stage.rollout.baseline.as_ref()));
}

#[tokio::test]
async fn a_restarted_control_plane_keeps_the_hold_and_knows_the_baseline() {
    let stage = Stage::set().await;
    let before = stage.everything("before", false).await;
    stage.upstream.rename_tools(&["new"]);
    let newest = refresh(&stage.plane, "apollo").await;
    let Stage { plane, upstream, canary, other, rollout } = stage;
    drop((canary, other));
    let plane = plane.restart_with(|_| {}).await;
    let mut fresh = Follower::open_as(&plane, hello("fresh", false, None)).await;
    let update = fresh.next().await;
    assert_eq!(
        (&update.version, &update.digest),
        (&rollout.baseline, &before.digest),
        "the very same snapshot"
    );
    let mut back = Follower::open_as(&plane, hello("other", false, Some(&before))).await;
    let update = back.next().await;
    assert_eq!((&update.version, &update.digest), (&before.version, &before.digest));
    assert!(
        !update.full && update.changed.is_empty() && update.removed.is_empty(),
        "it is told that it is current"
    );
    let mut canary = Follower::open_as(&plane, hello("canary", true, Some(&before))).await;
    assert_eq!(number(canary.next().await.version.as_ref()), newest);
    drop(upstream);
}

#[tokio::test]
async fn a_node_that_holds_something_newer_keeps_it() {
    let stage = Stage::set().await;
    stage.upstream.rename_tools(&["new"]);
    let newer = refresh(&stage.plane, "apollo").await;
    let held = stage.everything("canary", true).await;
    assert_eq!(number(held.version.as_ref()), newer);
    stage.plane.create("late", &stage.upstream.url()).await;
    let mut relabelled = Follower::open_as(&stage.plane, hello("canary", false, Some(&held))).await;
    let update = relabelled.next().await;
    assert_eq!((&update.version, &update.digest), (&held.version, &held.digest));
    assert!(!update.full && update.changed.is_empty() && update.removed.is_empty());
    relabelled.ack(&update).await;
    let promoted = client(&stage.plane).promote_rollout(admin::PromoteRolloutRequest::default()).await;
    let promoted = promoted.unwrap().into_inner();
    let update = relabelled.next().await;
    assert_eq!((&update.version, tools(&update)), (&promoted.version, vec!["late:new".to_owned()]));
}

#[tokio::test]
async fn a_removed_upstream_is_given_to_nobody_again() {
    let stage = Stage::set().await;
    let before = stage.everything("before", false).await;
    let request = admin::DeleteUpstreamRequest { domain: "apollo".into(), ..Default::default() };
    stage.plane.upstreams().delete_upstream(request).await.unwrap();
    let fresh = stage.everything("fresh", false).await;
    assert_eq!((&fresh.version, fresh.changed.len()), (&stage.rollout.baseline, 0));
    let mut back = Follower::open_as(&stage.plane, hello("other", false, Some(&before))).await;
    let update = back.next().await;
    assert_eq!(
        (update.removed.len(), &update.digest),
        (0, &before.digest),
        "a removal is held back like any change"
    );
    let aborted = client(&stage.plane).abort_rollout(admin::AbortRolloutRequest::default()).await;
    assert_eq!(aborted.unwrap().into_inner().missing, ["apollo"]);
}

#[tokio::test]
async fn waiting_counts_canaries_only_and_says_who_is_held_back() {
    let mut stage = Stage::set().await;
    stage.upstream.rename_tools(&["new"]);
    refresh(&stage.plane, "apollo").await;
    let request = admin::WaitForVersionRequest {
        timeout: Some(prost_types::Duration { seconds: 600, nanos: 0 }),
        ..Default::default()
    };
    let mut answers = client(&stage.plane).wait_for_version(request).await.unwrap().into_inner();
    let first = answers.message().await.unwrap().unwrap();
    assert_eq!((first.connected, first.held_back, first.done), (1, 1, false));
    assert_eq!(first.rollout.unwrap().baseline, stage.rollout.baseline);
    stage.canary.until(|update| tools(update) == ["apollo:new"]).await;
    let reached = loop {
        let answer = answers.message().await.unwrap().unwrap();
        if answer.done {
            break answer;
        }
    };
    assert_eq!((reached.reached, reached.serving, reached.held_back), (true, 1, 1));

    let nodes = nodes_until(&stage.plane, |nodes| nodes.iter().all(|node| node.version == node.target)).await;
    let told: Vec<_> = nodes.iter().map(|node| (node.node_id.as_str(), node.held_back)).collect();
    assert_eq!(told, [("canary", false), ("other", true)]);
    assert_eq!(nodes[1].target, stage.rollout.baseline);
    let told = state(&stage.plane).await;
    let told: Vec<_> =
        told.nodes.iter().map(|node| (node.node_id.as_str(), node.canary, node.current)).collect();
    assert_eq!(told, [("canary", true, true), ("other", false, false)]);
}

#[tokio::test]
async fn a_canary_that_refuses_is_shown_with_its_reason() {
    let mut stage = Stage::set().await;
    stage.upstream.rename_tools(&["new"]);
    refresh(&stage.plane, "apollo").await;
    let update = stage.canary.next().await;
    let held = sync::Update { version: stage.rollout.baseline.clone(), ..Default::default() };
    stage.canary.nack(&update, &held, "too deep").await;
    nodes_until(&stage.plane, |nodes| !nodes[0].rejections.is_empty()).await;
    let told = state(&stage.plane).await;
    let (canary, other) = (&told.nodes[0], &told.nodes[1]);
    assert_eq!((canary.current, canary.rejections[0].reason.as_str()), (false, "too deep"));
    assert!(other.rejections.is_empty());
    let wait = admin::WaitForVersionRequest::default();
    let mut answers = client(&stage.plane).wait_for_version(wait).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    assert_eq!((answer.done, answer.reached, answer.held_back), (true, false, 1));
}

#[tokio::test]
async fn a_registration_tells_which_nodes_are_held_back() {
    let stage = Stage::set().await;
    let request = sync::RegisterServerRequest {
        credential: format!("Bearer {SHARED_TOKEN}"),
        domain: "late".into(),
        url: stage.upstream.url(),
        ..Default::default()
    };
    let answer = stage.plane.registration().register_server(request).await.unwrap().into_inner();
    let hold = answer.hold.unwrap();
    assert_eq!((hold.label.as_str(), hold.value.as_str()), ("ring", "canary"));
    assert_eq!(hold.baseline, stage.rollout.baseline);
    assert!(number(answer.version.as_ref()) > number(hold.baseline.as_ref()));
}

#[tokio::test]
async fn what_cannot_be_a_rollout_is_refused_and_changes_nothing() {
    let plane = Plane::start().await;
    let nobody = client(&plane).start_rollout(start_request()).await.unwrap_err();
    assert_eq!(nobody.code(), Code::FailedPrecondition);
    assert!(nobody.message().contains("`ring=canary`"), "{nobody}");
    for (label, value) in [("", "x"), ("ring", ""), ("a=b", "x"), (" ring", "x")] {
        let request = admin::StartRolloutRequest {
            label: label.into(),
            value: value.into(),
            force: true,
            ..Default::default()
        };
        let refused = client(&plane).start_rollout(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{label:?}={value:?}: {refused}");
    }
    let promote = client(&plane).promote_rollout(admin::PromoteRolloutRequest::default()).await.unwrap_err();
    let abort = client(&plane).abort_rollout(admin::AbortRolloutRequest::default()).await.unwrap_err();
    for refused in [promote, abort] {
        assert!(
            refused.code() == Code::NotFound && refused.message().contains("a rollout under way"),
            "{refused}"
        );
    }
    let viewer = plane.token(Role::Viewer).await;
    let mut viewer = SnapshotServiceClient::new(plane.bearer(&viewer));
    assert_eq!(viewer.start_rollout(start_request()).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(viewer.get_rollout(admin::GetRolloutRequest {}).await.unwrap().into_inner().rollout, None);

    let dry = admin::StartRolloutRequest { force: true, validate_only: true, ..start_request() };
    client(&plane).start_rollout(dry).await.unwrap();
    assert_eq!(state(&plane).await.rollout, None);
    let forced = admin::StartRolloutRequest { force: true, ..start_request() };
    let (mut first, mut second) = (client(&plane), client(&plane));
    let (first, second) = tokio::join!(first.start_rollout(forced.clone()), second.start_rollout(forced));
    let refused: Vec<_> = [first, second].into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0].code(), Code::AlreadyExists);
    assert!(refused[0].message().contains("`ring=canary`"), "{refused:?}");
    let promoted = client(&plane).promote_rollout(admin::PromoteRolloutRequest::default()).await;
    let actions = audit(&plane).await;
    assert!(promoted.is_ok() && actions == ["rollout.promote", "rollout.start"], "{actions:?}");
    let mut nodes = NodeServiceClient::new(plane.as_admin());
    assert!(
        nodes.list_nodes(admin::ListNodesRequest::default()).await.unwrap().into_inner().nodes.is_empty()
    );
}

/// What was done to rollouts, newest first.
async fn audit(plane: &Plane) -> Vec<String> {
    let mut client = admin::audit_service_client::AuditServiceClient::new(plane.as_admin());
    let records =
        client.list_audit_records(admin::ListAuditRecordsRequest::default()).await.unwrap().into_inner();
    let actions = records.records.into_iter().map(|record| record.action);
    actions.filter(|action| action.starts_with("rollout.")).collect()
}

#[tokio::test]
async fn an_abort_names_the_upstreams_whose_tools_do_not_come_back() {
    let plane = Plane::start().await;
    let there = FakeUpstream::builder().tool("a").start().await;
    let elsewhere = FakeUpstream::builder().tool("a").start().await;
    for domain in ["kept", "removed", "replaced"] {
        plane.create(domain, &there.url()).await;
    }
    let forced = admin::StartRolloutRequest { force: true, ..start_request() };
    let rollout = client(&plane).start_rollout(forced).await.unwrap().into_inner().rollout.unwrap();
    for domain in ["removed", "replaced"] {
        let request = admin::DeleteUpstreamRequest { domain: domain.into(), ..Default::default() };
        plane.upstreams().delete_upstream(request).await.unwrap();
    }
    plane.create("replaced", &elsewhere.url()).await;
    let request = admin::AbortRolloutRequest { etag: rollout.etag, validate_only: false };
    let ended = client(&plane).abort_rollout(request).await.unwrap().into_inner();
    assert_eq!(
        (ended.frozen, ended.missing),
        (vec!["replaced".to_owned()], vec!["removed".into(), "replaced".into()])
    );
}
